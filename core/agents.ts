// Agents (versioned configuration of the brain) and environments (templates of hands), in the Managed Agents shape.
import type { Db } from './db.ts';
import { StewardError } from './errors.ts';
import type { Id, JsonObject, Millis } from './types.ts';

export const DEFAULT_AGENT: Id = 'agent_steward';
/** Who works on code tasks. */
export const TASK_AGENT: Id = 'agent_steward_tasks';
export const DEFAULT_ENVIRONMENT: Id = 'env_steward';
/** The model name that means: whatever STEWARD_MODEL says. */
export const CONFIGURED_MODEL = 'configured';

export interface AgentSpec extends JsonObject {
  name: string;
  description: string | null;
  model: { id: string };
  system: string | null;
  tools: JsonObject[];
  mcp_servers: JsonObject[];
  skills: JsonObject[];
  metadata: { [key: string]: string };
}

export interface Agent {
  id: Id;
  version: number;
  spec: AgentSpec;
  createdAt: Millis;
  updatedAt: Millis;
  archivedAt: Millis | null;
}

export interface EnvironmentSpec extends JsonObject {
  name: string;
  description: string | null;
  config: JsonObject;
  metadata: { [key: string]: string };
}

export interface Environment {
  id: Id;
  spec: EnvironmentSpec;
  createdAt: Millis;
  updatedAt: Millis;
  archivedAt: Millis | null;
}

export interface Agents {
  create(spec: AgentSpec): Agent;
  /** The newest version of a built-in agent, made as `spec` says when there is none. */
  builtIn(id: Id, spec: AgentSpec): Agent;
  /** Without a version: the newest. */
  get(id: Id, version?: number): Agent | null;
  need(id: Id, version?: number): Agent;
  /** A new immutable version; `conflict` unless `expected` is the newest. */
  update(id: Id, spec: AgentSpec, expected: number): Agent;
  list(includeArchived: boolean): Agent[];
  versions(id: Id): Agent[];
  archive(id: Id): Agent;
  createEnvironment(spec: EnvironmentSpec): Environment;
  needEnvironment(id: Id): Environment;
  updateEnvironment(id: Id, spec: EnvironmentSpec): Environment;
  archiveEnvironment(id: Id): Environment;
  removeEnvironment(id: Id): void;
  listEnvironments(includeArchived: boolean): Environment[];
}

interface AgentRow {
  id: string;
  version: number;
  spec: string;
  created_at: number;
  first_at: number;
  archived_at: number | null;
}
interface EnvironmentRow {
  id: string;
  spec: string;
  created_at: number;
  updated_at: number;
  archived_at: number | null;
}

const missing = (what: string, id: Id) =>
  new StewardError('not_found', `There is no ${what} ${id}.`, {
    op: `read an ${what}`,
    hint: `GET /v1/${what}s lists them.`,
  });

/** New conversations and tasks are made with these: without them nobody would be answered. */
function keepDefault(what: string, id: Id): void {
  if (id === DEFAULT_AGENT || id === TASK_AGENT || id === DEFAULT_ENVIRONMENT)
    throw new StewardError(
      'conflict',
      `The ${what} ${id} is the one that every ${id === TASK_AGENT ? 'task' : 'conversation'} begins with; it stays.`,
      {
        op: `remove an ${what}`,
        hint: `Change it, or make another ${what} for sessions of your own.`,
      },
    );
}

const MOST_KNOWN = 100;

export function createAgents(db: Db, deps: { now(): Millis; newId(prefix: 'agent' | 'env'): Id }): Agents {
  const SELECT = `SELECT a.id, a.version, a.spec, a.created_at, x.archived_at,
    (SELECT min(created_at) FROM agents f WHERE f.id = a.id) AS first_at
    FROM agents a LEFT JOIN agent_archive x ON x.id = a.id`;
  const insert = db.prepare<[string, number, string, Millis]>(
    'INSERT INTO agents (id, version, spec, created_at) VALUES (?, ?, ?, ?)',
  );
  const newest = db.prepare<[string], AgentRow>(`${SELECT} WHERE a.id = ? ORDER BY a.version DESC LIMIT 1`);
  const exact = db.prepare<[string, number], AgentRow>(`${SELECT} WHERE a.id = ? AND a.version = ?`);
  const all = db.prepare<[], AgentRow>(
    `${SELECT} WHERE a.version = (SELECT max(version) FROM agents m WHERE m.id = a.id) ORDER BY first_at, a.id`,
  );
  const versions = db.prepare<[string], AgentRow>(`${SELECT} WHERE a.id = ? ORDER BY a.version DESC`);
  const archive = db.prepare<[string, Millis]>(
    'INSERT INTO agent_archive (id, archived_at) VALUES (?, ?) ON CONFLICT DO NOTHING',
  );
  const putEnv = db.prepare<[string, string, Millis, Millis]>(
    `INSERT INTO environments (id, spec, created_at, updated_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET spec = excluded.spec, updated_at = excluded.updated_at`,
  );
  const oneEnv = db.prepare<[string], EnvironmentRow>('SELECT * FROM environments WHERE id = ?');
  const allEnvs = db.prepare<[], EnvironmentRow>('SELECT * FROM environments ORDER BY created_at, id');
  const archiveEnv = db.prepare<[Millis, string]>(
    'UPDATE environments SET archived_at = ? WHERE id = ? AND archived_at IS NULL',
  );
  const removeEnv = db.prepare<[string]>('DELETE FROM environments WHERE id = ?');

  /** A version never changes, but for being archived; every step of a turn asks for its own. */
  const known = new Map<string, Agent>();
  const toAgent = (row: AgentRow): Agent => ({
    id: row.id,
    version: row.version,
    spec: JSON.parse(row.spec) as AgentSpec,
    createdAt: row.first_at,
    updatedAt: row.created_at,
    archivedAt: row.archived_at,
  });
  const toEnvironment = (row: EnvironmentRow): Environment => ({
    id: row.id,
    spec: JSON.parse(row.spec) as EnvironmentSpec,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    archivedAt: row.archived_at,
  });

  const agents: Agents = {
    create(spec) {
      const id = deps.newId('agent');
      db.tx(() => insert.run(id, 1, JSON.stringify(spec), deps.now()));
      return agents.need(id);
    },
    builtIn: (id, spec) =>
      db.tx(() => {
        if (!agents.get(id)) insert.run(id, 1, JSON.stringify(spec), deps.now());
        return agents.need(id);
      }),
    get(id, version) {
      const key = `${id} ${version}`;
      const kept = version === undefined ? undefined : known.get(key);
      if (kept) return kept;
      const row = version === undefined ? newest.get(id) : exact.get(id, version);
      const agent = row ? toAgent(row) : null;
      if (version !== undefined && agent)
        // Within a transaction it may yet be undone.
        db.afterCommit(() => {
          if (known.size >= MOST_KNOWN) known.clear();
          known.set(key, agent);
        });
      return agent;
    },
    need(id, version) {
      const agent = agents.get(id, version);
      if (!agent) throw missing('agent', id);
      return agent;
    },
    update: (id, spec, expected) =>
      db.tx(() => {
        const current = agents.need(id);
        if (current.archivedAt !== null)
          throw new StewardError('conflict', `Agent ${id} is archived and cannot be changed.`, {
            op: 'update an agent',
          });
        if (current.version !== expected)
          throw new StewardError('conflict', `Agent ${id} is at version ${current.version}, not ${expected}.`, {
            op: 'update an agent',
            hint: 'Read it again and repeat the change.',
          });
        insert.run(id, expected + 1, JSON.stringify(spec), deps.now());
        return agents.need(id);
      }),
    list: (archived) =>
      all
        .all()
        .map(toAgent)
        .filter((agent) => archived || agent.archivedAt === null),
    versions: (id) => versions.all(id).map(toAgent),
    archive(id) {
      agents.need(id);
      keepDefault('agent', id);
      db.tx(() => {
        archive.run(id, deps.now());
        db.afterCommit(() => known.clear());
      });
      return agents.need(id);
    },
    createEnvironment(spec) {
      const id = deps.newId('env');
      db.tx(() => putEnv.run(id, JSON.stringify(spec), deps.now(), deps.now()));
      return agents.needEnvironment(id);
    },
    needEnvironment(id) {
      const row = oneEnv.get(id);
      if (!row) throw missing('environment', id);
      return toEnvironment(row);
    },
    updateEnvironment(id, spec) {
      const { createdAt } = agents.needEnvironment(id);
      db.tx(() => putEnv.run(id, JSON.stringify(spec), createdAt, deps.now()));
      return agents.needEnvironment(id);
    },
    archiveEnvironment(id) {
      agents.needEnvironment(id);
      keepDefault('environment', id);
      db.tx(() => archiveEnv.run(deps.now(), id));
      return agents.needEnvironment(id);
    },
    removeEnvironment(id) {
      agents.needEnvironment(id);
      keepDefault('environment', id);
      db.tx(() => removeEnv.run(id));
    },
    listEnvironments: (archived) =>
      allEnvs
        .all()
        .map(toEnvironment)
        .filter((environment) => archived || environment.archivedAt === null),
  };

  db.tx(() => {
    if (!agents.get(DEFAULT_AGENT))
      insert.run(
        DEFAULT_AGENT,
        1,
        JSON.stringify({
          name: 'Steward',
          description: 'The personal agent of the owner of this installation.',
          model: { id: CONFIGURED_MODEL },
          system: null,
          tools: [{ type: 'agent_toolset_20260401' }],
          mcp_servers: [],
          skills: [],
          metadata: {},
        } satisfies AgentSpec),
        deps.now(),
      );
    if (!oneEnv.get(DEFAULT_ENVIRONMENT))
      putEnv.run(
        DEFAULT_ENVIRONMENT,
        JSON.stringify({
          name: 'This machine',
          description: 'Sandboxes on the machine Steward runs on.',
          config: { type: 'self_hosted' },
          metadata: {},
        } satisfies EnvironmentSpec),
        deps.now(),
        deps.now(),
      );
  });
  return agents;
}
