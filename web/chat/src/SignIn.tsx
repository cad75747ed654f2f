import { Button, PasswordInput, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { useClient, useObservable } from './client';
import { Logo } from './icons';
import { LanguageSwitch } from './LanguageSwitch';
import { useText } from './language';
import { errorText } from './problem';

/** The form that signs in or registers. */
export function SignIn() {
  const client = useClient();
  const text = useText();
  const connection = useObservable(client.connection);
  const [registers, setRegisters] = useState(false);
  const [username, setUsername] = useState('');
  const [displayName, setDisplayName] = useState('');
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError('');
    try {
      const name = displayName.trim();
      if (registers) await client.register({ username, password, ...(name ? { displayName: name } : {}) });
      else await client.login({ username, password });
    } catch (failure) {
      setError(errorText(text, failure));
      setBusy(false);
    }
  }

  const ended = connection.state === 'signed_out' ? connection.reason : 'none';
  return (
    <main className="signin">
      <form className="signin-form" onSubmit={(event) => void submit(event)}>
        <div className="signin-title">
          <Logo />
          <h1>Ackbox</h1>
        </div>
        <p className="dim">{text.welcome}</p>
        {ended === 'ended' || ended === 'reused' ? <p role="status">{text.ended}</p> : null}
        {ended === 'banned' ? <p role="alert">{text.banned}</p> : null}
        <TextInput
          label={text.username}
          description={registers ? text.usernameHint : undefined}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          autoFocus
          required
          withAsterisk={false}
          minLength={3}
          maxLength={32}
          value={username}
          onChange={(event) => setUsername(event.currentTarget.value)}
        />
        {registers ? (
          <TextInput label={text.displayName} autoComplete="name" maxLength={64} value={displayName} onChange={(event) => setDisplayName(event.currentTarget.value)} />
        ) : null}
        <PasswordInput
          label={text.password}
          description={registers ? text.passwordHint : undefined}
          autoComplete={registers ? 'new-password' : 'current-password'}
          required
          withAsterisk={false}
          minLength={10}
          maxLength={128}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        {error ? (
          <p className="error" role="alert">
            {error}
          </p>
        ) : null}
        <Button type="submit" loading={busy} fullWidth>
          {registers ? text.signUp : text.signIn}
        </Button>
        <Button
          variant="subtle"
          onClick={() => {
            setRegisters(!registers);
            setError('');
          }}
        >
          {registers ? text.toSignIn : text.toSignUp}
        </Button>
        <LanguageSwitch />
      </form>
    </main>
  );
}
