import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Person, stage } from './browser.js';

/** A sound of a tenth of a second. */
function sound(): Buffer {
  const samples = 800;
  const wave = Buffer.alloc(44 + samples, 128);
  wave.write('RIFF', 0);
  wave.writeUInt32LE(36 + samples, 4);
  wave.write('WAVEfmt ', 8);
  wave.writeUInt32LE(16, 16);
  wave.writeUInt16LE(1, 20);
  wave.writeUInt16LE(1, 22);
  wave.writeUInt32LE(8_000, 24);
  wave.writeUInt32LE(8_000, 28);
  wave.writeUInt16LE(1, 32);
  wave.writeUInt16LE(8, 34);
  wave.write('data', 36);
  wave.writeUInt32LE(samples, 40);
  return wave;
}

test('what is not sent waits in each conversation, also for a reload; who signs out takes it along', async (t) => {
  const on = await stage(t);
  const [ann, bob, eve] = await Promise.all([Person.register(on, 'Ann'), Person.register(on, 'Bob'), Person.register(on, 'Eve')]);
  await bob.openChat(ann);
  await bob.write('Shall we go?');
  await eve.openChat(ann);
  await eve.write('Hello Ann');
  const field = ann.page.getByLabel('Write a message');
  await ann.openLine('Bob');
  await ann.sees('Shall we go?');
  await ann.bubble('Shall we go?').hover();
  await ann.bubble('Shall we go?').getByRole('button', { name: 'Message actions' }).click();
  await ann.page.getByRole('menuitem', { name: 'Reply' }).click();
  assert.equal(await field.evaluate((element) => element === document.activeElement), true);
  await field.fill('Yes, but not before');
  await ann.openLine('Eve');
  assert.equal(await field.inputValue(), '');
  await ann.page.locator('a.line', { hasText: 'Bob' }).getByText('Draft: Yes, but not before').waitFor();
  await field.fill('to Eve');
  await ann.page.reload();
  await ann.page.getByRole('heading', { name: 'Eve' }).waitFor();
  assert.equal(await field.inputValue(), 'to Eve');
  await ann.openLine('Bob');
  assert.equal(await field.inputValue(), 'Yes, but not before');
  await ann.page.getByText('Reply to Bob').waitFor();
  await field.press('End');
  await field.pressSequentially(' nine');
  await field.press('Enter');
  await bob.sees('Yes, but not before nine');
  await bob.page.locator('.quote', { hasText: 'Shall we go?' }).waitFor();
  assert.equal(await field.inputValue(), '');
  // The first letter after a send says that she writes on.
  await field.pressSequentially('x');
  await bob.page.getByText('Ann is writing…').waitFor();

  await ann.page.getByRole('button', { name: 'Menu', exact: true }).click();
  await ann.page.getByRole('menuitem', { name: 'Sign out' }).click();
  await ann.page.getByRole('button', { name: 'Sign in', exact: true }).waitFor();
  assert.deepEqual(await ann.page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('ackbox:writing'))), []);
  assert.deepEqual([...ann.faults, ...bob.faults, ...eve.faults], []);
});

test('sounds are played, large photographs made smaller, drops asked about, uploads told, ended and refused in words', async (t) => {
  const on = await stage(t);
  const [ann, bob] = await Promise.all([Person.register(on, 'Ann'), Person.register(on, 'Bob')]);
  await ann.openChat(bob);
  const input = ann.page.locator('.composer input[type=file]');
  await input.setInputFiles({ name: 'note.wav', mimeType: 'audio/wav', buffer: sound() });
  await bob.openLine('Ann');
  const player = bob.page.locator('audio');
  await player.waitFor();
  assert.deepEqual(
    await player.evaluate((audio: HTMLAudioElement) => [audio.controls, audio.autoplay, audio.preload, audio.paused, audio.clientHeight]),
    [true, false, 'metadata', true, 54],
  );
  await bob.page.waitForFunction(() => document.querySelector('audio')?.duration === 0.1);

  // A photograph of more than 8 MiB: noise, which does not become small by itself.
  const [chooser] = await Promise.all([ann.page.waitForEvent('filechooser'), ann.page.getByRole('button', { name: 'Attach a file' }).click()]);
  const noise = await ann.page.evaluate(async () => {
    const canvas = new OffscreenCanvas(2_400, 1_600);
    const to = canvas.getContext('2d');
    const pixels = to?.createImageData(2_400, 1_600);
    if (!to || !pixels) return '';
    for (let i = 0; i < pixels.data.length; i += 65_536) crypto.getRandomValues(pixels.data.subarray(i, Math.min(i + 65_536, pixels.data.length)));
    for (let i = 3; i < pixels.data.length; i += 4) pixels.data[i] = 255;
    to.putImageData(pixels, 0, 0);
    const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer());
    const parts: string[] = [];
    for (let i = 0; i < bytes.length; i += 32_768) parts.push(String.fromCharCode(...bytes.subarray(i, i + 32_768)));
    return btoa(parts.join(''));
  });
  const photograph = Buffer.from(noise, 'base64');
  assert.ok(photograph.length > 8 << 20, `${photograph.length} bytes`);
  await chooser.setFiles({ name: 'sea.png', mimeType: 'image/png', buffer: photograph });
  const picture = bob.page.getByAltText('sea.jpg');
  await picture.waitFor();
  await bob.page.getByRole('button', { name: 'Enlarge sea.jpg' }).click();
  await bob.page.getByRole('dialog', { name: 'sea.jpg' }).getByRole('button', { name: 'Download' }).waitFor();
  await bob.page.keyboard.press('Escape');
  await bob.page.getByRole('dialog').waitFor({ state: 'detached' });

  // What is dropped is asked about.
  await ann.page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(['some words'], 'words.txt', { type: 'text/plain' }));
    for (const type of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: data }));
  });
  await ann.page.getByText('words.txt (10 B)').waitFor();
  await ann.page.getByRole('button', { name: 'Send file' }).click();
  await bob.sees('words.txt');

  // One that is under way is told, and can be ended; nothing of it is sent.
  await ann.page.route('**/v1/files?*', () => undefined); // never answered
  await input.setInputFiles({ name: 'slow.bin', mimeType: '', buffer: Buffer.from('slow') });
  await ann.page.getByRole('progressbar', { name: 'Upload of slow.bin' }).waitFor();
  await ann.openLine('Bob');
  await ann.page.getByRole('button', { name: 'Cancel the upload of slow.bin' }).click();
  await ann.page.getByRole('progressbar').waitFor({ state: 'detached' });
  await ann.page.unroute('**/v1/files?*');

  // One that is too large is refused before anything of it is sent.
  const most = await ann.page.evaluate(async () => document.querySelector('[aria-label="Attach a file"]:not(input)')?.getAttribute('title'));
  assert.match(most ?? '', /^Files of up to [0-9]+ MiB$/);
  await ann.page.evaluate(() => {
    const file = new File(['x'], 'huge.mov', { type: 'video/quicktime' });
    Object.defineProperty(file, 'size', { value: 4 * 2 ** 30 });
    const data = new DataTransfer();
    const drop = new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: data });
    Object.defineProperty(drop, 'dataTransfer', { value: { types: ['Files'], files: [file] } });
    document.body.dispatchEvent(drop);
  });
  await ann.page.getByRole('button', { name: 'Send file' }).click();
  await ann.page.getByRole('alert').getByText('“huge.mov” has 4096 MiB; a file may have at most').waitFor();
  await ann.write('all done');
  await bob.sees('all done');
  assert.equal(await bob.page.locator('.message').count(), 4);
  await ann.shot('files');
  assert.deepEqual([...ann.faults, ...bob.faults], []);
});
