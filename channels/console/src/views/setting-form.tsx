// One setting: its name, whether and where it is set, and a field to change it. A secret goes in and never comes out.
import type { TargetedInputEvent } from 'preact';
import { useState } from 'preact/hooks';
import type { Store } from '../store.ts';
import type { Setting } from '../types.ts';
import { Badge, type Tone } from '../ui/badge.tsx';
import { Button } from '../ui/button.tsx';

const HEALTH: Record<string, { tone: Tone; word: string }> = {
  ok: { tone: 'good', word: 'connected' },
  starting: { tone: 'warn', word: 'connecting' },
  failing: { tone: 'bad', word: 'failing' },
  off: { tone: 'quiet', word: 'off' },
};

function ChannelHealth({ name, store }: { name: string; store: Store }) {
  const channel = store.status.value?.channels.find((item) => item.name === name);
  const health = channel && HEALTH[channel.state];
  if (!channel || !health) return null;
  return (
    <p class="setting-health">
      <Badge tone={health.tone}>{health.word}</Badge> {channel.detail}
    </p>
  );
}

const SOURCES: Record<string, string> = {
  environment: 'from the environment',
  'config.json': 'from config.json',
  '.env': 'from .env',
  default: 'the default',
};

export function SettingForm({
  setting,
  store,
  onSaved,
}: {
  setting: Setting;
  store: Store;
  onSaved: (list: Setting[]) => void;
}) {
  const [value, setValue] = useState(setting.secret ? '' : (setting.value ?? ''));
  const [busy, setBusy] = useState<'save' | 'remove' | null>(null);
  const fixed = setting.source === 'environment';
  const changed = value.trim() !== '' && value.trim() !== setting.value;

  async function save(next: string | null): Promise<void> {
    setBusy(next === null ? 'remove' : 'save');
    const done = await store.attempt(
      async () => onSaved(await store.api.saveSetting(setting.key, next)),
      next === null ? 'Removed.' : 'Saved. It takes effect at once.',
    );
    if (done && setting.secret) setValue('');
    setBusy(null);
    store.refreshSoon();
  }

  const input = {
    id: `setting-${setting.key}`,
    value,
    autocomplete: 'off',
    spellcheck: false,
    placeholder: setting.secret && setting.set ? 'Stored. Type a new one to replace it.' : '',
    onInput: (event: TargetedInputEvent<HTMLInputElement>) => setValue(event.currentTarget.value),
  } as const;

  return (
    <form
      class="setting"
      onSubmit={(event) => {
        event.preventDefault();
        if (changed) void save(value.trim());
      }}
    >
      <div class="setting-head">
        {fixed ? <strong>{setting.label}</strong> : <label for={`setting-${setting.key}`}>{setting.label}</label>}
        <Badge tone={setting.set ? 'good' : 'quiet'}>
          {setting.set ? 'set' : setting.value === undefined ? 'not set' : 'default'}
        </Badge>
        {setting.set && <span class="muted">{SOURCES[setting.source] ?? setting.source}</span>}
      </div>
      {fixed && setting.value !== undefined && <code>{setting.value}</code>}
      {!fixed && (
        <div class="row">
          {setting.secret ? <input type="password" {...input} /> : <input type="text" {...input} />}
          <Button look="primary" type="submit" busy={busy === 'save'} disabled={!changed || busy !== null}>
            Save
          </Button>
          {setting.set && setting.source !== 'default' && (
            <Button look="ghost" busy={busy === 'remove'} disabled={busy !== null} onClick={() => save(null)}>
              Remove
            </Button>
          )}
        </div>
      )}
      <p class="muted">
        {setting.hint}
        {fixed && ' It comes from the environment and can only be changed there.'}
      </p>
      {setting.key.startsWith('telegram') && <ChannelHealth name="telegram" store={store} />}
      {setting.key.startsWith('lark') && <ChannelHealth name="lark" store={store} />}
    </form>
  );
}
