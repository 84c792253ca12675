// Where the log tells of edits that belong to no conversation: the owner's main one, unless that one leaves nothing.
import type { Sessions } from '../core/sessions.ts';
import type { Id, Session } from '../core/types.ts';
import { isIncognito } from './scope.ts';

/** What the owner edits while the main conversation is incognito is kept all the same: it was not said in there. */
export function createHome(deps: { mainSession(): Id; sessions: Pick<Sessions, 'need' | 'bound'> }): () => Session {
  return () => {
    const main = deps.sessions.need(deps.mainSession());
    if (!isIncognito(main)) return main;
    const { agentId, agentVersion, environmentId } = main;
    const beside = { trust: 'owner', title: 'Memory', agentId, agentVersion, environmentId } as const;
    return deps.sessions.bound('memory', () => beside);
  };
}
