import { Button, PasswordInput, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { Refused } from './call';
import { api } from './calls';
import { Logo } from './icons';
import { LanguageSwitch } from './LanguageSwitch';
import { useText } from './language';
import { errorText } from './problem';
import { session, useSession } from './session';

/** The form that begins a session of an operator. */
export function SignIn() {
  const text = useText();
  const { ended } = useSession();
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError('');
    try {
      session.begin(await api.signIn({ username: username.trim(), password }));
    } catch (failure) {
      setError(failure instanceof Refused && failure.code === 'forbidden' ? text.notAdmin : errorText(text, failure));
      setBusy(false);
    }
  }

  return (
    <main className="signin">
      <form className="signin-form" onSubmit={(event) => void submit(event)}>
        <div className="signin-title">
          <Logo />
          <h1>Ackbox</h1>
        </div>
        <p className="dim">{text.welcome}</p>
        {ended ? <p role="status">{text.ended}</p> : null}
        <TextInput label={text.username} autoComplete="username" autoCapitalize="none" spellCheck={false} autoFocus required withAsterisk={false} maxLength={32} value={username} onChange={(event) => setUsername(event.currentTarget.value)} />
        <PasswordInput label={text.password} autoComplete="current-password" required withAsterisk={false} maxLength={128} value={password} onChange={(event) => setPassword(event.currentTarget.value)} />
        {error ? (
          <p className="error" role="alert">
            {error}
          </p>
        ) : null}
        <Button type="submit" loading={busy} fullWidth>
          {text.signIn}
        </Button>
        <LanguageSwitch />
      </form>
    </main>
  );
}
