// The suites: what runs where, how long one test may take, and how many files at a time two cores carry.
import { defineConfig } from 'vitest/config';

interface Suite {
  name: string;
  include: string[];
  exclude?: string[];
  /** For one test; hooks get the same. */
  timeoutSeconds: number;
  /** Files of such a suite run one after the other. */
  alone?: boolean;
  /** It starts many a Steward: what they are made of is compiled once. */
  starts?: boolean;
  /** Suites of one group run side by side, groups one after the other. */
  group: number;
}

/** Parts that only mean something with real processes, servers or a whole record: sandboxes, archives, memory, fakes. Too slow for `npm run check`. */
const inEarnest = [
  'test/unit/sandboxes/{dependencies,files,hands,mirrors,none,runner,snapshots,tar}.test.ts',
  'test/unit/sandboxes/deliver/deliver.test.ts',
  'test/unit/sandboxes/broker/{injection,life,proxy,routes}.test.ts',
  'test/unit/sandboxes/drivers/{bwrap,bwrap-launch,bwrap-starter,docker}.test.ts',
  'test/unit/sandboxes/tasks/work.test.ts',
  'test/unit/memory/{api,changes,files,forget,items,properties,questions}.test.ts',
  'test/unit/memory/consolidation/{idle,jobs,nightly,write}.test.ts',
  'test/unit/memory/{eval,index,portability,search,tools,vectors}/**/*.test.ts',
  'test/unit/core/cli/doctor/doctor.test.ts',
  'test/unit/core/backup.test.ts',
  'test/unit/scheduler/{conditions,simulation}.test.ts',
  'test/unit/core/setup/setup.test.ts',
  'test/unit/core/models/{anthropic,watchdog}.test.ts',
  'test/unit/channels/render.test.ts',
  'test/unit/scheduler/jobs/retention.test.ts',
  'test/unit/core/tools/fetch-page.test.ts',
  'test/unit/fakes/**/*.test.ts',
  'test/contract/sandbox*.test.ts',
];

const suites: Suite[] = [
  {
    name: 'unit',
    include: ['test/unit/**/*.test.ts', 'test/architecture.test.ts'],
    exclude: inEarnest,
    timeoutSeconds: 10,
    group: 0,
  },
  {
    name: 'contract',
    include: ['test/contract/**/*.test.ts'],
    exclude: inEarnest,
    timeoutSeconds: 30,
    group: 0,
  },
  { name: 'parts', include: inEarnest, timeoutSeconds: 60, group: 0 },
  // Both wait for processes more than they work: two files at a time keep two cores busy.
  { name: 'e2e', include: ['test/e2e/**/*.test.ts'], timeoutSeconds: 60, starts: true, group: 1 },
  { name: 'chaos-quick', include: ['test/chaos/**/*.quick.test.ts'], timeoutSeconds: 300, starts: true, group: 1 },
  // Bombs: nothing else is measured, or waited for, while they go off.
  { name: 'abuse', include: ['test/abuse/**/*.test.ts'], timeoutSeconds: 60, alone: true, group: 2 },
  {
    name: 'chaos',
    include: ['test/chaos/**/*.long.test.ts'],
    timeoutSeconds: 300,
    alone: true,
    starts: true,
    group: 3,
  },
];

export default defineConfig({
  test: {
    projects: suites.map((suite) => ({
      test: {
        name: suite.name,
        include: suite.include,
        exclude: suite.exclude ?? [],
        environment: 'node',
        pool: 'forks',
        ...(suite.starts && { globalSetup: ['test/helpers/compile-cache.ts'] }),
        maxWorkers: suite.alone ? 1 : 2,
        fileParallelism: !suite.alone,
        sequence: { groupOrder: suite.group },
        testTimeout: suite.timeoutSeconds * 1000,
        hookTimeout: suite.timeoutSeconds * 1000,
        // A busy machine is not a broken one.
        expect: { poll: { timeout: 15_000, interval: 20 } },
      },
    })),
  },
});
