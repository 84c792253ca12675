// Two moments of a workspace: what differs, and how it is told.
import { expect, it } from 'vitest';
import { describeDifference, difference, parseListing } from '../../../../sandboxes/drivers/docker/listing.ts';

interface Seen {
  path: string;
  type?: string;
  mode?: string;
  size?: number;
  mtime?: string;
  ctime?: string;
}

/** As find prints it. */
const output = (...entries: Seen[]): Buffer =>
  Buffer.from(
    entries
      .map(({ path, type = 'f', mode = '644', size = 1, mtime = '1.5', ctime = '1.5' }) =>
        [type, mode, size, mtime, ctime, 7, '', path, ''].join('\0'),
      )
      .join(''),
    'latin1',
  );
const listing = (...entries: Seen[]) => parseListing(output(...entries));
const told = (before: Seen[], after: Seen[]) => {
  const [old, now] = [listing(...before), listing(...after)];
  return describeDifference(old, difference(old, now));
};

it('reads any name, and nothing that means nothing later', () => {
  const names = [
    '/workspace/a b',
    '/workspace/two\nlines',
    `/workspace/${Buffer.from('ü\xff', 'latin1').toString('latin1')}`,
  ];
  const seen = listing(...names.map((path) => ({ path })), { path: '/workspace/socket', type: 's' });
  expect([...seen.keys()]).toEqual(names.map((name) => name.slice(1)));
  // Cut off in the middle: what is incomplete is no entry.
  expect(parseListing(output({ path: '/workspace/a' }, { path: '/workspace/b' }).subarray(0, -9)).size).toBe(1);
});

it('sees a change of content that kept size and time', () => {
  const before = [{ path: '/workspace/package.json', mtime: '499162500.0', ctime: '10.1' }];
  expect(told(before, [{ ...before[0]!, ctime: '10.2' }]).changes).toEqual([
    { path: 'package.json', kind: 'modified' },
  ]);
});

it('takes a folder for changed only when its mode is', () => {
  const folder = { path: '/workspace/d', type: 'd', mode: '755' };
  const old = listing(folder);
  expect(difference(old, listing({ ...folder, mtime: '9.9', ctime: '9.9', size: 8_192 }))).toEqual({
    written: [],
    deleted: [],
  });
  expect(difference(old, listing({ ...folder, mode: '700' })).written).toHaveLength(1);
});

it('names files of the workspace, and home and repositories as folders', () => {
  expect(
    told(
      [{ path: '/workspace/gone' }, { path: '/workspace/same' }, { path: '/workspace/sub/.git/index' }],
      [
        { path: '/workspace/same' },
        { path: '/workspace/new', type: 'd' },
        { path: '/workspace/new/file' },
        { path: '/workspace/sub/.git/index', size: 2 },
        { path: '/workspace/sub/.git/HEAD' },
        { path: '/home/agent/.cache/x' },
        { path: '/workspace/.gitignore' },
      ],
    ),
  ).toEqual({
    changes: [
      { path: 'new/file', kind: 'added' },
      { path: 'sub/.git', kind: 'modified' },
      { path: '/home/agent', kind: 'modified' },
      { path: '.gitignore', kind: 'added' },
      { path: 'gone', kind: 'deleted' },
    ],
    more: 0,
  });
});

it('names two hundred at most and counts the rest', () => {
  const many = Array.from({ length: 450 }, (_, index) => ({ path: `/workspace/file${index}` }));
  const { changes, more } = told([], many);
  expect([changes.length, more]).toEqual([200, 250]);
});
