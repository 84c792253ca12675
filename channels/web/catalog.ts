// /v1/agents and /v1/environments: configuration of brains and hands, in the Managed Agents shape.
import { Hono } from 'hono';
import type { Agents } from '../../core/agents.ts';
import { readJson } from './params.ts';
import * as wire from './wire.ts';

export function createCatalog(agents: Agents): Hono {
  const app = new Hono();
  app.get('/agents', (c) =>
    c.json({ data: agents.list(c.req.query('include_archived') === 'true').map(wire.agentToWire), next_page: null }),
  );
  app.post('/agents', async (c) =>
    c.json(
      wire.agentToWire(
        agents.create(wire.toAgentSpec(wire.parseBody(wire.agentParams, await readJson(c), 'create an agent'))),
      ),
    ),
  );
  app.get('/agents/:id', (c) => {
    const version = c.req.query('version');
    return c.json(wire.agentToWire(agents.need(c.req.param('id'), version ? Number(version) : undefined)));
  });
  app.post('/agents/:id', async (c) => {
    const { version, metadata, model, ...change } = wire.parseBody(
      wire.agentChange,
      await readJson(c),
      'update an agent',
    );
    const current = agents.need(c.req.param('id')).spec;
    const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
    const spec = {
      ...current,
      ...given,
      model: model ? { id: model.id } : current.model,
      metadata: wire.mergeMetadata(current.metadata, metadata ?? {}),
    };
    return c.json(wire.agentToWire(agents.update(c.req.param('id'), spec, version)));
  });
  app.post('/agents/:id/archive', (c) => c.json(wire.agentToWire(agents.archive(c.req.param('id')))));
  app.get('/agents/:id/versions', (c) =>
    c.json({ data: agents.versions(agents.need(c.req.param('id')).id).map(wire.agentToWire), next_page: null }),
  );

  app.get('/environments', (c) =>
    c.json({
      data: agents.listEnvironments(c.req.query('include_archived') === 'true').map(wire.environmentToWire),
      next_page: null,
    }),
  );
  app.post('/environments', async (c) => {
    const params = wire.parseBody(wire.environmentParams, await readJson(c), 'create an environment');
    return c.json(wire.environmentToWire(agents.createEnvironment(wire.toEnvironmentSpec(params))));
  });
  app.get('/environments/:id', (c) => c.json(wire.environmentToWire(agents.needEnvironment(c.req.param('id')))));
  app.post('/environments/:id', async (c) => {
    const { metadata, config, ...change } = wire.parseBody(
      wire.environmentChange,
      await readJson(c),
      'update an environment',
    );
    const current = agents.needEnvironment(c.req.param('id')).spec;
    const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
    const spec = {
      ...current,
      ...given,
      config: (config ?? current.config) as typeof current.config,
      metadata: wire.mergeMetadata(current.metadata, metadata ?? {}),
    };
    return c.json(wire.environmentToWire(agents.updateEnvironment(c.req.param('id'), spec)));
  });
  app.post('/environments/:id/archive', (c) =>
    c.json(wire.environmentToWire(agents.archiveEnvironment(c.req.param('id')))),
  );
  app.delete('/environments/:id', (c) => {
    agents.removeEnvironment(c.req.param('id'));
    return c.json({ id: c.req.param('id'), type: 'environment_deleted' });
  });
  return app;
}
