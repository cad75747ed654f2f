import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const levels = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

const desktop = { width: 1100, height: 720 };
const phone = { width: 375, height: 720 };

interface Violation {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/**
 * The faults that axe-core finds on a screen, in words: by all rules of WCAG 2.2 AA at the width of a desktop and of a
 * phone, and with `dark` by contrast in the dark look. The page is a desktop's and light afterwards.
 */
export async function audit(page: Page, screen: string, dark: boolean): Promise<string[]> {
  const found: string[] = [];
  const looks = [[phone, 'light'], ...(dark ? ([[desktop, 'dark']] as const) : []), [desktop, 'light']] as const;
  for (const [size, colorScheme] of looks) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const violations = await run(page, colorScheme === 'light' ? { type: 'tag', values: levels } : ['color-contrast']);
    for (const { id, help, nodes } of violations) {
      for (const { html, failureSummary } of nodes.slice(0, 5)) found.push(`${screen}, ${colorScheme}, ${size.width} wide: ${help} (${id})\n  ${html.slice(0, 300)}\n  ${failureSummary ?? ''}`);
    }
  }
  return found;
}

/** What runs in the page knows it. */
interface WithAxe {
  axe?: { run(context: Document, options: unknown): Promise<{ violations: Violation[] }> };
}

async function run(page: Page, rules: unknown): Promise<readonly Violation[]> {
  // As the debugger does it: the page's policy stays as it is.
  if (!(await page.evaluate(() => (window as WithAxe).axe !== undefined))) await page.evaluate(axe);
  return page.evaluate(async (runOnly) => {
    // A change of the look is drawn first.
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const answer = await (window as WithAxe).axe?.run(document, { runOnly, resultTypes: ['violations'] });
    return (answer?.violations ?? []).map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html, failureSummary }) => ({ html, ...(failureSummary ? { failureSummary } : {}) })) }));
  }, rules);
}
