// Which tools an agent is offered: Steward's own where its configuration has the toolset, and the client's custom ones.
// The file tool of the Messages API is offered where it is named by its type, with the toolset or without.
// A custom tool takes the place of one of Steward's with the same name: servers refuse a name that stands there twice.
import type { Agents } from '../agents.ts';
import type { Id, JsonObject, ToolDefinition } from '../types.ts';
import type { Tool } from './tool.ts';

/** Type in an agent's configuration, and name for the model. */
const MEMORY_FILES = { type: 'memory_20250818', name: 'memory' } as const;

export interface Toolset {
  tool(name: string): Tool | null;
  tools(agentId: Id, version: number): ToolDefinition[];
  customTools(agentId: Id, version: number): ReadonlySet<string>;
}

export function toolsOf(list: readonly Tool[], agents: Agents): Toolset {
  const byName = new Map(list.map((tool) => [tool.definition.name, tool]));
  const custom = (id: Id, version: number) =>
    agents.need(id, version).spec.tools.filter((entry) => entry.type === 'custom');
  return {
    tool: (name) => byName.get(name) ?? null,
    customTools: (id, version) => new Set(custom(id, version).map((entry) => String(entry.name))),
    tools(id, version) {
      const toolset = agents.need(id, version).spec.tools.find((entry) => entry.type === 'agent_toolset_20260401');
      const configs = (toolset?.configs as { name: string; enabled?: boolean | null }[] | undefined) ?? [];
      const fallback = (toolset?.default_config as { enabled?: boolean | null } | undefined)?.enabled ?? true;
      const enabled = (name: string) => configs.find((config) => config.name === name)?.enabled ?? fallback;
      const taken = new Set(custom(id, version).map((entry) => entry.name));
      const files = agents.need(id, version).spec.tools.some((entry) => entry.type === MEMORY_FILES.type);
      const offered = (name: string) => (name === MEMORY_FILES.name ? files : toolset !== undefined && enabled(name));
      const own = list
        .filter((tool) => tool.offered !== false)
        .map((tool) => tool.definition)
        .filter(({ name }) => offered(name) && !taken.has(name));
      const theirs = custom(id, version).map((entry) => ({
        name: String(entry.name),
        description: String(entry.description),
        input_schema: entry.input_schema as JsonObject,
      }));
      return [...own, ...theirs];
    },
  };
}
