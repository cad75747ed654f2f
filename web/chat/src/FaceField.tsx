import { Button } from '@mantine/core';
import { useRef, useState } from 'react';
import { useClient } from './client';
import { Face } from './Face';
import { useText } from './language';
import { pictureOf } from './media';
import { errorText } from './problem';

/** A picture that can be changed: an image is cut to its middle, made small, and uploaded. */
export function FaceField({ name, picture, onChange }: { name: string; picture: string; onChange: (picture: string) => Promise<void> }) {
  const client = useClient();
  const text = useText();
  const input = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');

  async function change(make: () => Promise<string>): Promise<void> {
    setBusy(true);
    setError('');
    try {
      await onChange(await make());
    } catch (failure) {
      setError(failure instanceof NoImage ? text.noImage : errorText(text, failure));
    } finally {
      setBusy(false);
    }
  }

  async function uploaded(file: File): Promise<string> {
    const image = await pictureOf(file);
    if (!image) throw new NoImage();
    return (await client.upload(image, { name: 'picture.jpg' })).url;
  }

  return (
    <div className="face-field">
      <Face name={name} picture={picture} size="xl" />
      <div>
        <div className="row">
          <input
            ref={input}
            type="file"
            hidden
            accept="image/*"
            aria-label={text.changePicture}
            onChange={(event) => {
              const file = event.currentTarget.files?.[0];
              event.currentTarget.value = '';
              if (file) void change(() => uploaded(file));
            }}
          />
          <Button variant="light" loading={busy} onClick={() => input.current?.click()}>
            {text.changePicture}
          </Button>
          {picture ? (
            <Button variant="subtle" disabled={busy} onClick={() => void change(async () => '')}>
              {text.removePicture}
            </Button>
          ) : null}
        </div>
        {error ? (
          <p className="error" role="alert">
            {error}
          </p>
        ) : null}
      </div>
    </div>
  );
}

/** The browser cannot read it as an image. */
class NoImage extends Error {}
