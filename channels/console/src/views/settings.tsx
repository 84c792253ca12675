// Settings: what Steward is told, who may talk to it, what it costs; and signing out.
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Store } from '../store.ts';
import type { Setting } from '../types.ts';
import { Button } from '../ui/button.tsx';
import { Bar, Card, Failed } from '../ui/page.tsx';
import { useLoaded } from '../ui/use-loaded.ts';
import { People } from './people.tsx';
import { SettingForm } from './setting-form.tsx';
import { UsageTable } from './usage.tsx';

const isChannel = (setting: Setting) => /^(telegram|lark)_/.test(setting.key);

function SettingsForms({ store }: { store: Store }) {
  const settings = useLoaded(store.api.settings, store);
  if (settings.error)
    return <Failed message={settings.error.message} hint={settings.error.hint} onRetry={settings.reload} />;
  if (!settings.data) return <p class="muted">Loading…</p>;
  const forms = (list: Setting[]) =>
    list.map((setting) => (
      // A saved value changes its form: the key makes a new one, with the value as the server has it.
      <SettingForm key={`${setting.key}:${setting.value}`} setting={setting} store={store} onSaved={settings.set} />
    ));
  const others = settings.data.filter((setting) => !isChannel(setting));
  return (
    <>
      <Card title="Channels" hint="Where you can talk to Steward besides this page.">
        {forms(settings.data.filter(isChannel))}
      </Card>
      {others.length > 0 && (
        <Card title="Model and budget" hint="Who answers, and what it may cost. Each change takes effect at once.">
          {forms(others)}
        </Card>
      )}
    </>
  );
}

export function Settings({ store, lead }: { store: Store; lead: ComponentChildren }) {
  useEffect(() => store.refreshSoon(), []);
  return (
    <div class="view">
      <Bar lead={lead} title="Settings" />
      <div class="scroller">
        <div class="column">
          <SettingsForms store={store} />
          <People store={store} />
          <UsageTable store={store} />
          <Card
            title="This browser"
            hint="Signing out ends this browser’s session. The terminal and other browsers keep theirs."
          >
            <div class="row">
              <Button
                onClick={() =>
                  store.attempt(async () => {
                    await store.api.logout();
                    await store.refresh();
                  })
                }
              >
                Sign out
              </Button>
            </div>
          </Card>
        </div>
      </div>
    </div>
  );
}
