// /api/backup and /api/backups: a copy of the record made now, and those there are.
import { Hono } from 'hono';
import { type BackupFile, type Backups, LEFT_OUT } from '../../core/backup.ts';
import type { JsonObject } from '../../core/types.ts';
import { rfc3339 } from './wire.ts';

const view = (file: BackupFile): JsonObject => ({
  name: file.name,
  path: file.path,
  kind: file.kind,
  bytes: file.bytes,
  made_at: rfc3339(file.madeAt),
});

export function createBackupRoutes(backups: Backups): Hono {
  const app = new Hono();
  app.post('/backup', async (c) => {
    const made = await backups.make();
    return c.json({ ...view(made), took_ms: made.tookMs, removed: made.removed, not_in_it: [...LEFT_OUT] }, 201);
  });
  app.get('/backups', (c) => c.json({ data: backups.list().map(view), not_in_them: [...LEFT_OUT] }));
  return app;
}
