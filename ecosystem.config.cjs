// How PM2 keeps Steward alive. `steward start` runs it with PM2_HOME=$STEWARD_HOME/pm2; nothing here is secret.
const { existsSync } = require('node:fs');
const { homedir } = require('node:os');
const { join, resolve } = require('node:path');

const pinned = join(__dirname, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
const home = resolve(process.env.STEWARD_HOME || join(homedir(), '.steward'));
const log = join(home, 'logs', 'steward.log');

// PM2 writes this to a file anyone may read: settings and secrets go through $STEWARD_HOME/environment.json instead.
const passed = ['PATH', 'HOME', 'LANG', 'TZ', 'NODE_ENV'];
const env = Object.fromEntries(passed.filter((key) => process.env[key]).map((key) => [key, process.env[key]]));

module.exports = {
  apps: [
    {
      name: 'steward',
      // The program is Node itself, so that PM2 starts it plainly: its own wrapper would load PM2's (AGPL) code into ours.
      script: existsSync(pinned) ? pinned : process.execPath,
      interpreter: 'none',
      args: ['core/cli.mjs', 'run'],
      cwd: __dirname,
      exec_mode: 'fork',
      instances: 1,
      env: { ...env, STEWARD_HOME: home },
      // Every name contains '', so nothing of the calling shell goes along; `true` is documented and does nothing.
      filter_env: [''],
      pmx: false,
      vizion: false,
      wait_ready: true,
      listen_timeout: 20_000,
      // SIGINT first; the process ends its own children. PM2's way of doing that needs `ps`, which small systems lack.
      kill_timeout: 15_000,
      treekill: false,
      exp_backoff_restart_delay: 100,
      max_memory_restart: '1G',
      // Another instance, bad configuration: trying again changes nothing.
      stop_exit_codes: [75, 78],
      out_file: log,
      error_file: log,
      merge_logs: true,
    },
  ],
};
