import type { Me, User } from '@ackbox/client';
import { Button, TextInput } from '@mantine/core';
import { type FormEvent, useEffect, useState } from 'react';
import { BlockedPeople } from './BlockedPeople';
import { Choice } from './Choice';
import { useClient, usePeople } from './client';
import { Devices } from './Devices';
import { Dialog } from './Dialog';
import { FaceField } from './FaceField';
import { useText } from './language';
import { Password } from './Password';
import { nameOf } from './people';
import { answered, errorText } from './problem';

type Change = Partial<Pick<Me, 'display_name' | 'avatar_url' | 'direct_messages'>>;

/** What others see of me, who may write to me, where I am signed in, and whom I have blocked. */
export function Settings({ me, onClose }: { me: User; onClose: () => void }) {
  const text = useText();
  const { account, change, error } = useAccount();
  return (
    <Dialog title={text.settings} onClose={onClose}>
      {account ? (
        <>
          <FaceField name={nameOf(account)} picture={account.avatar_url} onChange={(picture) => change({ avatar_url: picture })} />
          <p className="dim">
            @{account.username} · {text.idOf(account.user_id)}
          </p>
          <DisplayName name={account.display_name} onSave={(name) => change({ display_name: name })} />
          <Choice
            label={text.contactsOnly}
            help={text.contactsOnlyHelp}
            checked={account.direct_messages === 'contacts'}
            onChange={(on) => change({ direct_messages: on ? 'contacts' : 'everyone' }).then(() => true, () => false)}
          />
        </>
      ) : error ? null : (
        <p className="dim">{text.loading}</p>
      )}
      {error ? (
        <p className="error" role="alert">
          {error}
        </p>
      ) : null}
      <section className="section">
        <h2 className="title">{text.password}</h2>
        <Password />
      </section>
      <section className="section">
        <h2 className="title">{text.devices}</h2>
        <Devices />
      </section>
      <section className="section">
        <h2 className="title">{text.blocked}</h2>
        <BlockedPeople without={me.user_id} />
      </section>
    </Dialog>
  );
}

function DisplayName({ name, onSave }: { name: string; onSave: (name: string) => Promise<void> }) {
  const text = useText();
  const [changed, setChanged] = useState<string | null>(null);
  const now = changed ?? name;
  function submit(event: FormEvent): void {
    event.preventDefault();
    onSave(now.trim()).then(() => setChanged(null), () => undefined); // why not is said below
  }
  return (
    <form className="row row-low" onSubmit={submit}>
      <TextInput className="grow" label={text.yourName} maxLength={64} value={now} onChange={(event) => setChanged(event.currentTarget.value)} />
      <Button type="submit" variant="light" disabled={!now.trim() || now.trim() === name}>
        {text.save}
      </Button>
    </form>
  );
}

/** My account as the server has it; what changes is seen by the whole page. */
function useAccount(): { account: Me | null; change: (change: Change) => Promise<void>; error: string } {
  const client = useClient();
  const people = usePeople();
  const text = useText();
  const [account, setAccount] = useState<Me | null>(null);
  const [error, setError] = useState('');
  useEffect(() => {
    let gone = false;
    answered(client.rest.GET('/v1/users/me')).then(
      (me) => {
        if (!gone) setAccount(me);
      },
      (failure: unknown) => {
        if (!gone) setError(errorText(text, failure));
      },
    );
    return () => {
      gone = true;
    };
  }, [client, text]);
  async function change(body: Change): Promise<void> {
    setError('');
    try {
      const me = await answered(client.rest.PATCH('/v1/users/me', { body }));
      setAccount(me);
      people.add([me]);
    } catch (failure) {
      setError(errorText(text, failure));
      throw failure;
    }
  }
  return { account, change, error };
}
