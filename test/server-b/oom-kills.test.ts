import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { OomKills } from '../../server-b/oom-kills.ts';

describe('kills for memory', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-oom-'));
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** Writes what /proc/self says: the groups of this process, and the mounts as root, mount point, type and options. */
  async function layOut(groups: readonly string[], mounts: readonly (readonly string[])[]): Promise<void> {
    await writeFile(join(folder, 'cgroup'), `${groups.join('\n')}\n`);
    const lines = mounts.map(([root, point, type, options], index) => {
      return `${30 + index} 23 0:${index} ${root} ${join(folder, point ?? '')} rw,relatime shared:1 - ${type} none ${options}`;
    });
    await writeFile(join(folder, 'mountinfo'), `22 1 8:1 / / rw - ext4 /dev/root rw\n${lines.join('\n')}\n`);
  }

  async function count(path: string, kills: number): Promise<void> {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), `oom 7\noom_kill ${kills}\noom_group_kill 9\n`);
  }

  const V1 = ['12:cpu,cpuacct:/other', '4:memory:/box/darkroom', '0::/box/darkroom'];

  for (const [what, groups, mounts, counter] of [
    ['of cgroup v2', ['0::/box/darkroom'], [['/', 'unified', 'cgroup2', 'rw']], 'unified/box/darkroom/memory.events'],
    ['of a container with cgroup v2', ['0::/'], [['/', 'unified', 'cgroup2', 'rw']], 'unified/memory.events'],
    [
      'of cgroup v1',
      V1,
      [
        ['/', 'cpu', 'cgroup', 'rw,cpu,cpuacct'],
        ['/', 'memory', 'cgroup', 'rw,memory'],
        ['/', 'unified', 'cgroup2', 'rw'],
      ],
      'memory/box/darkroom/memory.oom_control',
    ],
    [
      'of a container with cgroup v1, where the mount point shows a group',
      V1,
      [['/box', 'memory', 'cgroup', 'rw,memory']],
      'memory/darkroom/memory.oom_control',
    ],
  ] as const) {
    it(`are counted in the group ${what}, each once`, async () => {
      await layOut(groups, mounts);
      await count(counter, 3);
      const kills = new OomKills(folder);
      expect(kills.hasRisen()).to.equal(false);
      await count(counter, 5);
      expect([kills.hasRisen(), kills.hasRisen()]).to.deep.equal([true, false]);
    });
  }

  it('never rise without a counter', async () => {
    expect(new OomKills(folder).hasRisen()).to.equal(false);
    await layOut(['0::/'], [['/', 'unified', 'cgroup2', 'rw']]);
    expect(new OomKills(folder).hasRisen()).to.equal(false);
  });

  it('are read of this process without an error', () => {
    expect(new OomKills().hasRisen()).to.equal(false);
  });
});
