// The README's table of settings is the table the code has.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { settingList } from '../../core/settings.ts';

it('lists every setting with its default and its meaning', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, table] = /<!-- settings:begin -->\n([\s\S]*)\n<!-- settings:end -->/.exec(readme) ?? [];
  const rows = settingList.map(({ key, shown, describe }) => `| \`${key}\` | ${shown} | ${describe} |`);
  expect(table?.split('\n').slice(2)).toEqual(rows);
});
