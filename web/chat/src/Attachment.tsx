import type { Message } from '@ackbox/client';
import { Button } from '@mantine/core';
import { useState } from 'react';
import { useFile, type ReadFile } from './files';
import { useText } from './language';
import { clockOf, mostImage, sizeOf } from './media';
import { Picture as PicturePanel } from './panels';
import { errorText } from './problem';
import { Save } from './Save';

const shown = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp']);
/** What an image or video of unknown size gets, and the most that any gets, in CSS pixels; a sound has the height of a player. */
const widest = 280;
const highest = 320;
const video = { width: widest, height: 158 };
const sound = { width: widest, height: 54 };

interface Props {
  readonly type: 'image' | 'file' | 'audio' | 'video';
  readonly body: Message['body'];
}

/** An uploaded file: an image is shown, a sound or video is played, anything else can be saved. Nothing of it is ever a page of ours. */
export function Attachment({ type, body }: Props) {
  const text = useText();
  const id = typeof body['file_id'] === 'string' && /^[0-9]{1,19}$/.test(body['file_id']) ? body['file_id'] : null;
  const name = typeof body['name'] === 'string' && body['name'] ? body['name'] : text.types[type];
  const size = typeof body['size'] === 'number' ? body['size'] : 0;
  if (!id) return <Elsewhere name={name} url={body['url']} />;
  if (type === 'file') return <Save id={id} name={name} size={size} />;
  const place = type === 'audio' ? sound : fit(body['width'], body['height'], type === 'video' ? video : { width: widest, height: widest });
  return <Media key={id} type={type} id={id} name={name} size={size} length={typeof body['duration_ms'] === 'number' ? body['duration_ms'] : 0} place={place} />;
}

/** A file that is not on this server: never loaded by the page. */
function Elsewhere({ name, url }: { name: string; url: unknown }) {
  const found = typeof url === 'string' && URL.canParse(url) ? new URL(url) : null;
  if (found?.protocol !== 'https:' && found?.protocol !== 'http:') return <span className="text">{name}</span>;
  return (
    <a className="text" href={found.href} target="_blank" rel="noopener noreferrer nofollow">
      {name}
    </a>
  );
}

interface Size {
  readonly width: number;
  readonly height: number;
}

interface MediaProps {
  readonly type: 'image' | 'audio' | 'video';
  readonly id: string;
  readonly name: string;
  readonly size: number;
  /** In ms, 0 when not known. */
  readonly length: number;
  readonly place: Size;
}

/** An image, or a player. It has its place before it is there, so nothing jumps; what is large is loaded when somebody wants it. */
function Media({ type, id, name, size, length, place }: MediaProps) {
  const text = useText();
  const [wanted, setWanted] = useState(size <= mostImage);
  const { file, error } = useFile(wanted ? id : null);
  if (file && !fits(type, file.type)) return <Save id={id} name={name} size={size} />;
  return (
    <span className={`media media-${type}`} style={{ width: place.width, ...(type === 'audio' ? { height: place.height } : { aspectRatio: `${place.width} / ${place.height}` }) }}>
      {file ? (
        <Shown type={type} file={file} name={name} />
      ) : error ? (
        <span className="dim">{errorText(text, error)}</span>
      ) : wanted ? (
        <span className="dim">{text.loading}</span>
      ) : (
        <Button size="compact-sm" variant="light" onClick={() => setWanted(true)} title={name}>
          {text.load(text.types[type], [length > 0 ? clockOf(length) : '', sizeOf(size)].filter(Boolean).join(', '))}
        </Button>
      )}
    </span>
  );
}

function fits(type: MediaProps['type'], media: string): boolean {
  return type === 'image' ? shown.has(media) : media.startsWith(`${type}/`);
}

function Shown({ type, file, name }: { type: MediaProps['type']; file: ReadFile; name: string }) {
  const text = useText();
  const [opened, setOpened] = useState(false);
  if (type === 'audio') return <audio src={file.url} controls preload="metadata" aria-label={name} />;
  if (type === 'video') return <video src={file.url} controls preload="metadata" playsInline aria-label={name} />;
  return (
    <>
      <button type="button" className="picture-button" aria-label={text.enlarge(name)} onClick={() => setOpened(true)}>
        <img src={file.url} alt={name} />
      </button>
      {opened ? <PicturePanel url={file.url} name={name} onClose={() => setOpened(false)} /> : null}
    </>
  );
}

function fit(width: unknown, height: unknown, unknown: Size): Size {
  if (typeof width !== 'number' || typeof height !== 'number' || width < 1 || height < 1) return unknown;
  const scale = Math.min(1, widest / width, highest / height);
  return { width: Math.max(48, Math.round(width * scale)), height: Math.max(48, Math.round(height * scale)) };
}
