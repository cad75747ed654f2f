import type { User } from '@ackbox/client';
import { Button, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { useClient } from './client';
import { Dialog } from './Dialog';
import { CloseIcon } from './icons';
import { useText } from './language';
import { PersonSearch } from './PersonSearch';
import { nameOf } from './people';
import { answered, errorText } from './problem';
import { open } from './route';

/** Makes a group. The key is made once, so that pressing the button twice makes one group. */
export function NewGroup({ me, onClose }: { me: User; onClose: () => void }) {
  const client = useClient();
  const text = useText();
  const [name, setName] = useState('');
  const [members, setMembers] = useState<readonly User[]>([]);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const [key, setKey] = useState(newKey);

  async function create(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError('');
    try {
      const group = await answered(
        client.rest.POST('/v1/groups', {
          params: { header: { 'Idempotency-Key': key } },
          body: { name: name.trim(), member_ids: members.map((user) => user.user_id) },
        }),
      );
      open({ conversation: group.conversation_id });
      onClose();
    } catch (failure) {
      setError(errorText(text, failure));
      setBusy(false);
    }
  }

  // Another content is another group.
  const changed = () => setKey(newKey);
  return (
    <Dialog onClose={onClose} title={text.newGroup}>
      <form className="stack" onSubmit={(event) => void create(event)}>
        <TextInput
          label={text.groupName}
          data-autofocus
          required
          withAsterisk={false}
          maxLength={64}
          value={name}
          onChange={(event) => {
            setName(event.currentTarget.value);
            changed();
          }}
        />
        <div className="chips">
          {members.map((user) => (
            <button
              key={user.user_id}
              type="button"
              className="chip"
              aria-label={`${text.remove}: ${nameOf(user)}`}
              onClick={() => {
                setMembers(members.filter((other) => other !== user));
                changed();
              }}
            >
              {nameOf(user)} <CloseIcon />
            </button>
          ))}
        </div>
        <PersonSearch
          without={new Set([me.user_id, ...members.map((user) => user.user_id)])}
          onPick={(user) => {
            setMembers([...members, user]);
            changed();
          }}
        />
        {error ? (
          <p className="error" role="alert">
            {error}
          </p>
        ) : null}
        <Button type="submit" loading={busy} disabled={!name.trim()}>
          {text.create}
        </Button>
      </form>
    </Dialog>
  );
}

/** crypto.randomUUID is missing on pages that came by plain http from another machine. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
