import type { components } from '@ackbox/client';
import { Button } from '@mantine/core';
import { useCallback, useEffect, useState } from 'react';
import { useClient } from './client';
import { useQuestion } from './Confirm';
import { useLanguage } from './language';
import { fullTime } from './moment';
import { answered, errorText } from './problem';
import { useWritings } from './writings';

type Device = components['schemas']['Device'];

/** Where I am signed in: this device and the others, each of which can be signed out. */
export function Devices() {
  const client = useClient();
  const { language, text } = useLanguage();
  const writings = useWritings();
  const { ask, asked } = useQuestion();
  const [devices, setDevices] = useState<readonly Device[] | null>(null);
  const [error, setError] = useState('');
  const here = client.session.get()?.deviceID;
  const load = useCallback(async () => {
    setDevices((await answered(client.rest.GET('/v1/devices'))).devices);
  }, [client]);
  const attempt = useCallback(
    async (call: () => Promise<unknown>) => {
      setError('');
      try {
        await call();
      } catch (failure) {
        setError(errorText(text, failure));
      }
    },
    [text],
  );
  useEffect(() => {
    void attempt(load);
  }, [attempt, load]);

  const forget = (id: string) => answered(client.rest.DELETE('/v1/devices/{device_id}', { params: { path: { device_id: id } } }));
  /** The others first: this one can do nothing afterwards. */
  async function everywhere(): Promise<void> {
    for (const { device_id } of (await answered(client.rest.GET('/v1/devices'))).devices) if (device_id !== here) await forget(device_id);
    writings.erase();
    await client.logout();
  }

  const others = devices?.filter(({ device_id }) => device_id !== here) ?? [];
  return (
    <>
      <ul className="people">
        {devices?.map((device) => (
          <li key={device.device_id} className="person">
            <span className="grow">
              <span className="device-name">{nameOf(device.device_id, text.browser)}</span>
              <span className="dim block">
                {device.device_id === here ? text.thisDevice : device.online ? text.online : text.lastSeen(fullTime(language, device.last_seen_at))}
                {device.pending > 0 && device.device_id !== here ? ` · ${text.waitingFor(device.pending)}` : ''}
              </span>
            </span>
            {device.device_id === here ? null : (
              <Button
                variant="light"
                color="red"
                size="compact-sm"
                aria-label={`${text.signOut}: ${nameOf(device.device_id, text.browser)}`}
                onClick={() => ask({ title: text.signOut, words: text.signOutSure, onYes: () => void attempt(() => forget(device.device_id).then(load)) })}
              >
                {text.signOut}
              </Button>
            )}
          </li>
        ))}
      </ul>
      {devices || error ? null : <p className="dim">{text.loading}</p>}
      {error ? (
        <p className="error" role="alert">
          {error}
        </p>
      ) : null}
      <div className="row">
        <Button variant="subtle" color="red" disabled={!devices} onClick={() => ask({ title: text.signOutEverywhere, words: text.signOutEverywhereSure(others.length), onYes: () => void attempt(everywhere) })}>
          {text.signOutEverywhere}
        </Button>
      </div>
      {asked}
    </>
  );
}

/** A device's own name; that of a browser is made up, and its beginning tells it from others. */
function nameOf(id: string, browser: string): string {
  const made = /^web-([0-9a-f]{6})/.exec(id)?.[1];
  return made ? `${browser} ${made}` : id;
}
