import type { SendType } from '@ackbox/client';

/** Larger images are made smaller before they are sent, and are not shown by themselves, in bytes. */
export const mostImage = 8 << 20;
/** The longer side of an image that was made smaller, in pixels. */
const longest = 2_560;
/** The side of a user's or a group's picture, in pixels. */
const pictureSide = 320;
/** How long is waited for a file to say its size, in ms. */
const patience = 5_000;

const still = new Set(['image/jpeg', 'image/png', 'image/webp']);
const moving = new Set(['image/gif']);

/** A file as it is sent. */
export interface Prepared {
  readonly file: Blob;
  readonly name: string;
  /** How it is shown. */
  readonly type: SendType;
  /** What is known of an image, a video or a sound beside what the server says. */
  readonly about: Readonly<Record<string, number>>;
  /** It is smaller than what was chosen. */
  readonly smaller: boolean;
}

/** Prepares a file: a large photograph is made smaller, what cannot be is sent as a plain file. */
export async function prepare(file: File): Promise<Prepared> {
  const name = file.name.slice(-200) || 'file';
  const kind = file.type.split('/')[0];
  const plain: Prepared = { file, name, type: 'file', about: {}, smaller: false };
  if (kind === 'image' && (still.has(file.type) || moving.has(file.type))) {
    if (file.size <= mostImage) return { ...plain, type: 'image' };
    const smaller = still.has(file.type) ? await drawn(file, longest, false) : null;
    if (!smaller || smaller.size > mostImage) return plain;
    return { file: smaller, name: name.replace(/\.[^.]*$/, '') + '.jpg', type: 'image', about: {}, smaller: true };
  }
  if (kind === 'audio' || kind === 'video') return { ...plain, type: kind, about: await measured(file, kind) };
  return plain;
}

/** The picture of a user or a group: the middle of an image, small. null if the browser cannot read it. */
export async function pictureOf(file: File): Promise<Blob | null> {
  return drawn(file, pictureSide, true);
}

/** An image as a JPEG of bounded size; null if the browser cannot read it. */
async function drawn(file: Blob, side: number, square: boolean): Promise<Blob | null> {
  let image: ImageBitmap;
  try {
    image = await createImageBitmap(file);
  } catch {
    return null;
  }
  try {
    const cut = square ? Math.min(image.width, image.height) : 0;
    const [width, height] = square ? [cut, cut] : [image.width, image.height];
    const scale = Math.min(1, side / Math.max(width, height));
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const to = canvas.getContext('2d');
    if (!to) return null;
    to.fillStyle = '#fff'; // a JPEG has nothing to see through
    to.fillRect(0, 0, canvas.width, canvas.height);
    to.drawImage(image, (image.width - width) / 2, (image.height - height) / 2, width, height, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.86));
  } finally {
    image.close();
  }
}

/** How large a video is and how long it or a sound lasts; nothing where the browser does not know. */
function measured(file: Blob, kind: 'audio' | 'video'): Promise<Record<string, number>> {
  return new Promise((resolve) => {
    const player = document.createElement(kind);
    const url = URL.createObjectURL(file);
    const done = (about: Record<string, number>) => {
      clearTimeout(timer);
      URL.revokeObjectURL(url);
      resolve(about);
    };
    const timer = setTimeout(() => done({}), patience);
    player.preload = 'metadata';
    player.onerror = () => done({});
    player.onloadedmetadata = () => {
      const about: Record<string, number> = Number.isFinite(player.duration) ? { duration_ms: Math.round(player.duration * 1_000) } : {};
      if (player instanceof HTMLVideoElement && player.videoWidth > 0) Object.assign(about, { width: player.videoWidth, height: player.videoHeight });
      done(about);
    };
    player.src = url;
  });
}

/** A number of bytes as people say it. */
export function sizeOf(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1 << 20) return `${Math.ceil(bytes / 1024)} KiB`;
  const mega = bytes / (1 << 20);
  return `${mega.toFixed(mega < 100 && !Number.isInteger(mega) ? 1 : 0)} MiB`;
}

/** A duration as players say it. */
export function clockOf(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  const minutes = Math.floor(seconds / 60) % 60;
  const two = (n: number) => String(n).padStart(2, '0');
  return seconds >= 3_600 ? `${Math.floor(seconds / 3_600)}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
