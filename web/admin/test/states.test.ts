import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Operator, stage } from './browser.js';

test('what goes wrong is said: no answer, nodes that are missing, a session that ended; all of it by keyboard', async (t) => {
  const on = await stage(t);
  const root = await Operator.signedIn(on);
  const { page } = root;

  // An answer that fails leaves what was known, and can be asked for again.
  await root.to('Users');
  await root.row('root').waitFor();
  await page.route('**/v1/admin/users?*', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"code":"unavailable"}' }));
  await page.getByLabel('Search').fill('nobody');
  await page.getByRole('alert').getByText('A part of the system is down.').waitFor();
  await page.unroute('**/v1/admin/users?*');
  await root.button('Try again').click();
  await page.getByText('Nothing found.').waitFor();
  await page.getByRole('alert').waitFor({ state: 'detached' });

  // A part is not taken for the whole.
  await page.route('**/v1/admin/nodes', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...((await answer.json()) as object), missing_nodes: ['9'] } });
  });
  await root.to('Nodes');
  await page.getByText('Not all nodes answered. Missing: 9.').waitFor();
  await root.shot('missing-node');

  // The keyboard alone: to the page, to an action, to its question, and back to where it was.
  await root.open('nodes');
  await root.button('Drain').waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to the page');
  await page.keyboard.press('Enter');
  for (let n = 0; n < 5 && (await page.evaluate(() => document.activeElement?.textContent)) !== 'Drain'; n++) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByText('The node says that it is not ready').waitFor();
  await page.waitForFunction(() => document.querySelector('[role=dialog]')?.contains(document.activeElement)); // it takes the focus a moment after it is seen
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.waitForFunction(() => document.activeElement?.textContent === 'Drain');

  // An address of nothing, and a session that ended elsewhere.
  await root.open('users/1');
  await page.getByRole('alert').getByText('Not found.').waitFor();
  await root.open('nowhere');
  await page.getByText('There is no such page.').waitFor();
  await root.context.clearCookies();
  await page.getByRole('link', { name: 'Jobs' }).click();
  await page.getByText('Your session has ended.').waitFor();
  await root.signIn('Jobs');
  assert.deepEqual(root.faults, []);
});
