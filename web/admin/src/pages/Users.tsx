import { Button, Modal, NativeSelect, PasswordInput, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { api } from '../calls';
import { ChoiceFilter, TextFilter } from '../Filters';
import { useText } from '../language';
import { Head, Moment, Tag, UserLink } from '../Parts';
import { errorText } from '../problem';
import { go, useSearch } from '../route';
import { Listing } from '../Table';
import type { User } from '../types';

/** Accounts: searched, and made. */
export default function Users() {
  const text = useText();
  const [search] = useSearch();
  const [opened, setOpened] = useState(false);
  const filter = { q: search.get('q') ?? '', role: search.get('role') ?? '', banned: search.get('banned') ?? '' };
  return (
    <>
      <Head title={text.sections.users}>
        <Button onClick={() => setOpened(true)}>{text.createUser}</Button>
      </Head>
      <div className="filters">
        <TextFilter name="q" label={text.search} placeholder={text.searchUsers} />
        <ChoiceFilter name="role" label={text.role} choices={[{ value: '', label: text.any }, { value: 'user', label: text.roles.user }, { value: 'admin', label: text.roles.admin }]} />
        <ChoiceFilter name="banned" label={text.bannedFilter} choices={[{ value: '', label: text.any }, { value: 'true', label: text.yes }, { value: 'false', label: text.no }]} />
      </div>
      <Listing<User>
        name={JSON.stringify(filter)}
        caption={text.sections.users}
        sort="username"
        keyOf={({ id }) => id}
        load={async (query, signal) => {
          const page = await api.users({ ...filter, ...query }, signal);
          return { ...page, rows: page.users };
        }}
        columns={[
          { title: text.username, sort: 'username', cell: ({ id, username }) => <UserLink id={id} name={username} /> },
          { title: text.displayName, cell: ({ display_name }) => display_name },
          { title: text.id, sort: 'id', cell: ({ id }) => <code>{id}</code> },
          { title: text.role, cell: ({ role }) => (role === 'admin' ? <Tag mood="warn">{text.roles.admin}</Tag> : text.roles.user) },
          { title: text.state, cell: ({ banned_at }) => (banned_at ? <Tag mood="bad">{text.banned}</Tag> : <Tag mood="good">{text.active}</Tag>) },
          { title: text.created, sort: 'created_at', cell: ({ created_at }) => <Moment at={created_at} /> },
        ]}
      />
      <Modal opened={opened} onClose={() => setOpened(false)} title={text.createUser} closeButtonProps={{ 'aria-label': text.close }}>
        <NewUser close={() => setOpened(false)} />
      </Modal>
    </>
  );
}

function NewUser({ close }: { readonly close: () => void }) {
  const text = useText();
  const [username, setUsername] = useState('');
  const [displayName, setDisplayName] = useState('');
  const [password, setPassword] = useState('');
  const [role, setRole] = useState<User['role']>('user');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError('');
    try {
      const { user } = await api.createUser({ username, password, ...(displayName.trim() ? { display_name: displayName.trim() } : {}), role });
      go(`users/${user.id}`);
    } catch (failure) {
      setError(errorText(text, failure));
      setBusy(false);
    }
  }

  return (
    <form className="stack" onSubmit={(event) => void submit(event)}>
      <TextInput label={text.username} description={text.usernameHint} required withAsterisk={false} minLength={3} maxLength={32} autoComplete="off" autoCapitalize="none" spellCheck={false} value={username} onChange={(event) => setUsername(event.currentTarget.value)} />
      <TextInput label={text.displayName} maxLength={64} autoComplete="off" value={displayName} onChange={(event) => setDisplayName(event.currentTarget.value)} />
      <PasswordInput label={text.password} description={text.passwordHint} required withAsterisk={false} minLength={10} maxLength={128} autoComplete="new-password" value={password} onChange={(event) => setPassword(event.currentTarget.value)} />
      <NativeSelect label={text.role} value={role} data={[{ value: 'user', label: text.roles.user }, { value: 'admin', label: text.roles.admin }]} onChange={(event) => setRole(event.currentTarget.value === 'admin' ? 'admin' : 'user')} />
      {error ? (
        <p className="error" role="alert">
          {error}
        </p>
      ) : null}
      <div className="row end">
        <Button variant="default" onClick={close}>
          {text.cancel}
        </Button>
        <Button type="submit" loading={busy}>
          {text.create}
        </Button>
      </div>
    </form>
  );
}
