import type { LoadRequest } from '../load/messages.ts';
import { writeForm } from '../multipart.ts';
import type { Task, Work } from '../work.ts';

const forms = new Map<string, Promise<LoadRequest>>();

/** The work as forms for a peer, which gets the sizes as `outputs` and `labels=true`. The forms lie in `folder`. */
export function formUploads(work: Work, folder: string): Promise<LoadRequest[]> {
  return Promise.all(
    work.tasks.map((task) => {
      const key = JSON.stringify(task);
      const made = forms.get(key) ?? makeRequest(task, folder);
      forms.set(key, made);
      return made;
    }),
  );
}

async function makeRequest({ picture, outputs }: Task, folder: string): Promise<LoadRequest> {
  const sizes = outputs.filter(({ operation }) => operation === 'resize');
  const fields = { outputs: JSON.stringify(sizes), ...(sizes.length < outputs.length && { labels: 'true' }) };
  const { file, contentType } = await writeForm(folder, picture, fields);
  return {
    method: 'POST',
    path: '/upload',
    headers: { 'content-type': contentType },
    bodyFile: file,
    expected: ['"status":"completed"'],
    refused: [],
  };
}
