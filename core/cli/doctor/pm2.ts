// Does PM2 watch over the process, in a home that is closed to others?
import { existsSync, statSync } from 'node:fs';
import { createPm2, pm2Home, pm2HomeProblem } from '../pm2.ts';
import { type Finding, type Patient, reporter } from './finding.ts';

const found = reporter('pm2');

/** More restarts than that are worth a look at the log. */
const many = 5;

export async function pm2Check({ config: { home }, env, status }: Patient): Promise<Finding> {
  const problem = pm2HomeProblem(home);
  if (problem) return found('fail', problem, 'Choose a shorter STEWARD_HOME, or use steward run.');
  const folder = pm2Home(home);
  if (!existsSync(folder)) return found('ok', 'Not used yet; npm start does.');
  if ((statSync(folder).mode & 0o077) !== 0) return found('fail', `Others may enter ${folder}.`, `chmod 700 ${folder}`);
  const app = await createPm2(home, env).find();
  if (!app && status)
    return found(
      'warn',
      'Steward runs, but not under PM2: nobody restarts it after a crash.',
      'Fine under systemd or in a container; else end it and npm start.',
    );
  if (!app) return found('ok', 'PM2 does not run.');
  const detail = `PM2 says ${app.status}, ${app.restarts} restarts${app.exitCode ? `, last exit code ${app.exitCode}` : ''}.`;
  if (!app.pid) return found('fail', detail, 'steward logs says why it ended; npm start begins anew.');
  return app.restarts > many ? found('warn', detail, 'steward logs says why it ended.') : found('ok', detail);
}
