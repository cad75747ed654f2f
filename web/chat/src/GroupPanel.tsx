import type { Conversation, User } from '@ackbox/client';
import { Button, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { useClient } from './client';
import { Dialog } from './Dialog';
import { type Member, useGroupMembers } from './groupmembers';
import { useText } from './language';
import { MemberMenu } from './MemberMenu';
import { PersonLine } from './PersonLine';
import { PersonSearch } from './PersonSearch';
import { answered, errorText } from './problem';
import { open } from './route';

interface Props {
  readonly me: User;
  readonly group: Conversation;
  readonly onClose: () => void;
}

/** A group's name and members, with what my role lets me change. */
export function GroupPanel({ me, group, onClose }: Props) {
  const client = useClient();
  const text = useText();
  const path = { group_id: group.conversation_id };
  const { members, error: loadError, reload } = useGroupMembers(group.conversation_id);
  const [error, setError] = useState('');
  const role = members.find((member) => member.user_id === me.user_id)?.role ?? 'member';
  const rules = role !== 'member';

  /** Does a change, and reads the members again. */
  async function change(call: () => Promise<unknown>): Promise<void> {
    setError('');
    try {
      await call();
      reload();
    } catch (failure) {
      setError(errorText(text, failure));
    }
  }

  const add = (user: User) => change(() => answered(client.rest.POST('/v1/groups/{group_id}/members', { params: { path }, body: { member_ids: [user.user_id] } })));
  return (
    <Dialog onClose={onClose} title={group.name}>
      {rules ? <Rename name={group.name} onRename={(name) => change(() => answered(client.rest.PATCH('/v1/groups/{group_id}', { params: { path }, body: { name } })))} /> : null}
      {rules ? (
        <section>
          <h2 className="title">{text.addMembers}</h2>
          <PersonSearch without={new Set(members.map((member) => member.user_id))} onPick={(user) => void add(user)} />
        </section>
      ) : null}
      {error || loadError ? (
        <p className="error" role="alert">
          {error || loadError}
        </p>
      ) : null}
      <h2 className="title">{text.memberCount(group.member_count)}</h2>
      <MemberLines me={me} role={role} members={members} groupID={group.conversation_id} change={change} />
      <Ways group={group} me={me} role={role} onError={setError} onClose={onClose} />
    </Dialog>
  );
}

function Rename({ name, onRename }: { name: string; onRename: (name: string) => Promise<void> }) {
  const text = useText();
  const [value, setValue] = useState(name);
  function submit(event: FormEvent): void {
    event.preventDefault();
    void onRename(value.trim());
  }
  return (
    <form className="row" onSubmit={submit}>
      <TextInput className="grow" aria-label={text.groupName} maxLength={100} value={value} onChange={(event) => setValue(event.currentTarget.value)} />
      <Button type="submit" variant="light" disabled={!value.trim() || value.trim() === name}>
        {text.rename}
      </Button>
    </form>
  );
}

interface LinesProps {
  readonly me: User;
  readonly role: Member['role'];
  readonly members: readonly Member[];
  readonly groupID: string;
  readonly change: (call: () => Promise<unknown>) => Promise<void>;
}

function MemberLines({ me, role, members, groupID, change }: LinesProps) {
  const text = useText();
  return (
    <ul className="people members">
      {members.map((member) => (
        <li key={member.user_id} className="person">
          <PersonLine userID={member.user_id}>
            {member.user_id === me.user_id ? <span className="dim">{text.you}</span> : null}
            <span className="role">{text.roles[member.role]}</span>
            {member.user_id !== me.user_id && mayChange(role, member.role) ? <MemberMenu groupID={groupID} member={member} mine={role} change={change} /> : null}
          </PersonLine>
        </li>
      ))}
    </ul>
  );
}

function mayChange(mine: Member['role'], other: Member['role']): boolean {
  return mine === 'owner' || (mine === 'admin' && other === 'member');
}

/** The ways out. They are asked about before they are gone. */
function Ways({ group, me, role, onError, onClose }: { group: Conversation; me: User; role: Member['role']; onError: (words: string) => void; onClose: () => void }) {
  const client = useClient();
  const text = useText();
  const [asks, setAsks] = useState<'leave' | 'dissolve' | null>(null);
  const id = group.conversation_id;

  async function go(): Promise<void> {
    try {
      if (asks === 'dissolve') await answered(client.rest.DELETE('/v1/groups/{group_id}', { params: { path: { group_id: id } } }));
      else await answered(client.rest.DELETE('/v1/groups/{group_id}/members/{user_id}', { params: { path: { group_id: id, user_id: me.user_id } } }));
      onClose();
      open(null);
    } catch (failure) {
      onError(errorText(text, failure));
    }
  }

  if (asks) {
    return (
      <div className="row" role="alert">
        <p className="grow">{asks === 'leave' ? text.leaveSure : text.dissolveSure}</p>
        <Button variant="default" onClick={() => setAsks(null)}>
          {text.cancel}
        </Button>
        <Button color="red" onClick={() => void go()}>
          {asks === 'leave' ? text.leave : text.dissolve}
        </Button>
      </div>
    );
  }
  return (
    <div className="row">
      <Button variant="light" color="red" onClick={() => setAsks('leave')}>
        {text.leave}
      </Button>
      {role === 'owner' ? (
        <Button variant="subtle" color="red" onClick={() => setAsks('dissolve')}>
          {text.dissolve}
        </Button>
      ) : null}
    </div>
  );
}
