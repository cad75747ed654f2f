import { Button, PasswordInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { useClient } from './client';
import { useText } from './language';
import { answered, errorText, Refused } from './problem';

/** Changes my password, which ends all my other sessions. */
export function Password() {
  const client = useClient();
  const text = useText();
  const [now, setNow] = useState('');
  const [next, setNext] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const [done, setDone] = useState(false);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError('');
    setDone(false);
    try {
      await answered(client.rest.POST('/v1/auth/password', { body: { password: now, new_password: next } }));
      setDone(true);
      setNow('');
      setNext('');
    } catch (failure) {
      // The form keeps the new one's rules, so it is the current one that was refused.
      setError(failure instanceof Refused && failure.code === 'validation_failed' ? text.errors.password : errorText(text, failure));
    } finally {
      setBusy(false);
    }
  }

  return (
    <form className="stack" onSubmit={(event) => void submit(event)}>
      <PasswordInput
        label={text.passwordNow}
        autoComplete="current-password"
        required
        withAsterisk={false}
        maxLength={128}
        value={now}
        onChange={(event) => setNow(event.currentTarget.value)}
      />
      <PasswordInput
        label={text.passwordNew}
        description={text.passwordHint}
        autoComplete="new-password"
        required
        withAsterisk={false}
        minLength={10}
        maxLength={128}
        value={next}
        onChange={(event) => setNext(event.currentTarget.value)}
      />
      {error ? (
        <p className="error" role="alert">
          {error}
        </p>
      ) : null}
      {done ? <p role="status">{text.passwordChanged}</p> : null}
      <Button type="submit" variant="light" loading={busy}>
        {text.changePassword}
      </Button>
    </form>
  );
}
