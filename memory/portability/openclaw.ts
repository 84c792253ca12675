// OpenClaw's workspace: MEMORY.md and USER.md (curated), memory/YYYY-MM-DD[-slug].md (daily notes). Pure: text in, plan out.
// Layout as documented in openclaw/openclaw, docs/concepts/memory.md and the session-memory hook.
import { checkedFiles, refused } from './checks.ts';
import { localTime } from './local-time.ts';
import { isPlaceholder, type Section, sectionsOf } from './markdown-blocks.ts';
import { pieces } from './pieces.ts';
import type { Plan, PlanOptions, SourceFile } from './plan.ts';

const ROLES: Record<string, string> = { user: 'user', assistant: 'assistant' };

/** `# Session: 2026-01-16 14:30:00 UTC`, `## 14:30 - Title`, `## 14:30`. */
function timeIn(section: Section, day: string, timeZone: string): number | null {
  const heading = section.heading ?? '';
  const full = /(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?)(?: ?(UTC|Z))?/.exec(heading);
  if (full) return localTime(full[1]!, full[2]!, full[3] ? 'UTC' : timeZone);
  const time = /(?:^|\s)(\d{1,2}:\d\d)(?=\s|$)/.exec(heading)?.[1];
  return time ? localTime(day, time, timeZone) : null;
}

function curated(path: string, data: string, kind: 'fact' | 'preference', options: PlanOptions): SourceFile {
  const file: SourceFile = { path, title: path, spoken: [], noted: [] };
  for (const section of sectionsOf(data)) {
    if (section.blocks.length === 0) continue;
    for (const piece of pieces(section)) {
      const from =
        file.spoken.push({ speaker: 'notes', text: piece.text, at: options.now, own: options.own === true }) - 1;
      for (const block of piece.blocks) {
        if (isPlaceholder(block.text) || block.done === true) continue;
        const subject = section.level > 1 ? section.heading : null;
        const tier = block.done === false ? 'state' : 'reference';
        file.noted.push({
          tier,
          kind: block.done === false ? 'loop' : kind,
          subject,
          slot: null,
          text: block.text,
          validFrom: options.now,
          ...(tier === 'state' && { expiresInDays: 14 }),
          from,
          quote: block.raw,
        });
      }
    }
  }
  return file;
}

function daily(path: string, data: string, day: string | null, options: PlanOptions): SourceFile {
  const file: SourceFile = { path, title: path.replace(/^.*memory\//, '').replace(/\.md$/, ''), spoken: [], noted: [] };
  let at = (day && localTime(day, null, options.timeZone)) || options.now;
  for (const section of sectionsOf(data)) {
    at = (day && timeIn(section, day, options.timeZone)) || at;
    if (section.blocks.length === 0) continue;
    for (const piece of pieces(section)) {
      const said = piece.text.split(/\n(?=(?:user|assistant): )/);
      for (const text of said) {
        const role = /^(user|assistant): /.exec(text)?.[1];
        const words = role ? text.slice(role.length + 2).trim() : text.trim();
        const own = options.own === true || (role === 'user' && options.own === 'user');
        if (words !== '') file.spoken.push({ speaker: role ? ROLES[role]! : 'notes', text: words, at, own });
      }
    }
  }
  return file;
}

export function planOpenclaw(files: readonly { path: string; data: string }[], options: PlanOptions): Plan {
  const plan: Plan = { files: [], skipped: [] };
  for (const { path, data } of checkedFiles(files)) {
    const name = path.split('/').at(-1)!;
    const day = /^(\d{4}-\d\d-\d\d)(?:-[^/]*)?\.md$/.exec(name)?.[1] ?? null;
    if (!/\.md$/i.test(name)) plan.skipped.push({ what: path, why: 'not Markdown' });
    else if (/^memory\.md$/i.test(name)) plan.files.push(curated(path, data, 'fact', options));
    else if (/^user\.md$/i.test(name)) plan.files.push(curated(path, data, 'preference', options));
    else if (/(^|\/)memory\//.test(path) || day) plan.files.push(daily(path, data, day, options));
    else plan.skipped.push({ what: path, why: 'not one of the memory files (MEMORY.md, USER.md, memory/…)' });
  }
  if (plan.files.length === 0)
    throw refused(
      'There is no OpenClaw memory in this folder.',
      'It holds MEMORY.md or memory/YYYY-MM-DD.md, as in ~/.openclaw/workspace. Nothing was changed.',
    );
  plan.files = plan.files.filter((file) => file.spoken.length > 0);
  return plan;
}
