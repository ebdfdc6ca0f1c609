import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { z } from 'zod';
import { taskSchema } from '../../shared/task.ts';
import { runCommand } from '../support/command-in-process.ts';
import { type Ended, runDarkroom } from '../support/command-line.ts';
import { waves } from '../support/pictures.ts';
import { Service, temporaryFolder } from '../support/service.ts';

const reportSchema = z.object({
  task: taskSchema.nullable(),
  saved: z.array(z.string()),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});

const PRESETS = {
  avatar: [{ name: 'avatar', operation: 'circle', size: 32 }],
  shop: [
    { name: 'card', width: 40, format: 'png' },
    { name: 'hint', operation: 'placeholder' },
  ],
};

describe('darkroom upload with named outputs and a real service', function () {
  this.timeout(180_000);
  let service: Service;
  let folder: string;

  before(async () => {
    folder = await temporaryFolder();
    const presets = join(folder, 'presets.json');
    await writeFile(presets, JSON.stringify(PRESETS));
    service = await Service.start({ flags: ['--presets', presets] });
  });

  after(async () => {
    await service.stop();
    await rm(folder, { recursive: true });
  });

  beforeEach(async () => {
    await writeFile(join(folder, 'cat.jpg'), await waves(120, 90).jpeg().toBuffer());
  });

  afterEach(async () => {
    for (const name of await readdir(folder)) {
      if (name !== 'presets.json') await rm(join(folder, name), { recursive: true });
    }
  });

  function upload(...words: string[]): Promise<Ended> {
    return runCommand(['upload', '--server', service.address, ...words], { folder });
  }

  /** The --json report on one file, with the task's outputs as `name operation`. */
  async function report(...words: string[]) {
    const { stdout, stderr } = await upload('cat.jpg', '--json', ...words);
    expect(stderr).to.equal('');
    const { task, saved, error } = reportSchema.parse(JSON.parse(stdout));
    return { outputs: task?.outputs.map(({ name, operation }) => `${name} ${operation}`) ?? [], saved, error, task };
  }

  async function sizeOf(name: string): Promise<string> {
    const { format, width, height } = await sharp(await readFile(join(folder, name))).metadata();
    return `${format} ${width}×${height}`;
  }

  it('--output adds an output each time, and no labels are made', async () => {
    const thumb = ['--output', 'thumb:width=20,height=20,fit=cover,gravity=north'];
    const { outputs, task } = await report('--wait', ...thumb, '--output', 'round:operation=circle,size=16');
    expect(outputs).to.deep.equal(['thumb resize', 'round circle']);
    expect(task?.outputs.map(({ format, width, height }) => [format, width, height])).to.deep.equal([
      ['jpeg', 20, 20],
      ['png', 16, 16],
    ]);
  });

  it('--output accepts a value with commas in brackets', async () => {
    const padded = 'padded:width=30,height=30,fit=contain,background=rgb(255, 165, 0),format=png';
    await report('-o', padded, '-o', 'padded.png');
    const { data } = await sharp(await readFile(join(folder, 'padded.png')))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([...data.subarray(0, 3)]).to.deep.equal([255, 165, 0]);
  });

  it('-o with a path saves the pictures of all outputs, each under its name', async () => {
    const { saved } = await report('-o', 'thumb:width=20', '-o', 'small.jpg', '-o', 'round:operation=circle,size=16');
    expect(saved).to.deep.equal(['small.jpg', 'small-round.png']);
    expect(await sizeOf('small.jpg')).to.equal('jpeg 20×15');
    expect(await sizeOf('small-round.png')).to.equal('png 16×16');
  });

  it('--outputs reads a list from a file, and --output adds to it', async () => {
    const list = [
      { name: 'card', width: 40, format: 'webp' },
      { name: 'hint', operation: 'placeholder' },
    ];
    await writeFile(join(folder, 'outputs.json'), JSON.stringify(list));
    const { outputs, saved } = await report('--outputs', 'outputs.json', '-o', 'last:scale_factor=0.5', '-o', 'out/');
    expect(outputs).to.have.members(['card resize', 'hint placeholder', 'last resize']);
    expect(saved).to.have.length(2);
    const names = await readdir(join(folder, 'out'));
    expect(names).to.have.members(saved.map((path) => path.replace('out/', '')));
    expect(names.some((name) => name.endsWith('.webp'))).to.equal(true);
  });

  it('--preset requests the outputs of presets, alone and together with others', async () => {
    expect((await report('--wait', '--preset', 'avatar')).outputs).to.deep.equal(['avatar circle']);
    const { outputs, saved } = await report('--preset', 'shop,avatar', '-o', 'thumb:width=20', '-o', 'out.png');
    expect(outputs).to.deep.equal(['card resize', 'hint placeholder', 'avatar circle', 'thumb resize']);
    expect(saved).to.deep.equal(['out.png', 'out-avatar.png', 'out-thumb.jpg']);
    expect(await sizeOf('out.png')).to.equal('png 40×30');
  });

  it('prints a line with the name of each output', async () => {
    const words = ['cat.jpg', '--wait', '-o', 'thumb:width=20', '-o', 'hint:operation=placeholder'];
    const { stdout } = await runDarkroom(['upload', '--server', service.address, ...words], { folder });
    expect(stdout).to.match(/^cat\.jpg {2}[\w-]{21} {2}completed {2}thumb 20×15 {2}hint\n$/);
  });

  const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['a wrong value', ['-o', 'thumb:width=0'], /for width of the output thumb, received '0'/],
    ['an unknown parameter', ['-o', 'thumb:colour=red'], /for a field's name of the output thumb, received 'colour'/],
    [
      'an unknown operation',
      ['-o', 'thumb:operation=blur,width=9'],
      /for operation of the output thumb, received 'blur'/,
    ],
    ['a wrong name', ['-o', 'Thumb:width=9'], /for name of output 1, received 'Thumb'/],
    ['a duplicate name', ['-o', 'a:width=9', '-o', 'a:width=8'], /each output's name once, received 'a' twice/],
    ['parameters that exclude each other', ['-o', 'a:width=9,scale_factor=1'], /for the output a, received both/],
    ['two paths', ['-o', 'a.jpg', '-o', 'b.jpg'], /Expected one path for --output, received 'a\.jpg and b\.jpg'/],
    ['a list that is missing', ['--outputs', 'none.json'], /Expected a file \(ENOENT\) for --outputs/],
    ['a list that is not JSON', ['--outputs', 'cat.jpg'], /Expected a file with a JSON list of outputs for --outputs/],
  ];
  for (const [what, words, message] of refused) {
    it(`refuses ${what} before the upload, and names it`, async () => {
      const { code, stdout, stderr } = await upload('cat.jpg', ...words);
      expect([code, stdout]).to.deep.equal([1, '']);
      expect(stderr)
        .to.match(message)
        .and.match(/^darkroom: [^\n]+\n$/);
    });
  }

  it("prints the server's refusal of an unknown preset, of a duplicate name and of flat flags", async () => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['--preset', 'none'], /Expected one of avatar, shop for preset, received 'none' \(BAD_REQUEST\)/],
      [['--preset', 'avatar', '-o', 'avatar:width=9'], /each output's name once, received 'avatar' twice/],
      [['-o', 'a:width=9', '--width', '10'], /\(BAD_REQUEST\)/],
    ];
    for (const [words, message] of cases) {
      const { code, stderr } = await upload('cat.jpg', ...words);
      expect(code, words.join(' ')).to.equal(1);
      expect(stderr).to.match(message);
    }
  });
});
