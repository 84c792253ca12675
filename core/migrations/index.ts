// The ordered list of schema steps; a file is never changed after a release, a new one is added.
export const migrations: readonly string[] = [
  '0001_spine.sql',
  '0002_sandboxes.sql',
  '0003_memory.sql',
  '0004_schedules.sql',
  '0005_schedule_looks.sql',
  '0006_webhooks.sql',
  '0007_tasks.sql',
];
