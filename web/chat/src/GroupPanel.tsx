import type { Conversation, User } from '@ackbox/client';
import { Button, Textarea, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { Choice } from './Choice';
import { useClient } from './client';
import { useQuestion } from './Confirm';
import { Dialog } from './Dialog';
import { Face } from './Face';
import { FaceField } from './FaceField';
import { useGroupMembers } from './groupmembers';
import { useText } from './language';
import { MemberList } from './MemberList';
import { PersonSearch } from './PersonSearch';
import { answered, errorText } from './problem';
import { open } from './route';

interface Props {
  readonly me: User;
  readonly group: Conversation;
  readonly onClose: () => void;
}

interface Change {
  readonly name?: string;
  readonly avatar_url?: string;
  readonly announcement?: string;
  readonly mute_all?: boolean;
  readonly history?: 'joined' | 'all';
}

/** A group with its members, and what my role lets me change. */
export function GroupPanel({ me, group, onClose }: Props) {
  const client = useClient();
  const text = useText();
  const path = { group_id: group.conversation_id };
  const list = useGroupMembers(group.conversation_id);
  const [error, setError] = useState('');
  const rules = group.role === 'owner' || group.role === 'admin';

  /** Does a change, and reads the members again; false if it was refused. */
  async function change(call: () => Promise<unknown>): Promise<boolean> {
    setError('');
    try {
      await call();
      list.reload();
      return true;
    } catch (failure) {
      setError(errorText(text, failure));
      return false;
    }
  }

  const update = (body: Change) => answered(client.rest.PATCH('/v1/groups/{group_id}', { params: { path }, body }));
  const set = (body: Change) => change(() => update(body));
  const add = (user: User) => change(() => answered(client.rest.POST('/v1/groups/{group_id}/members', { params: { path }, body: { member_ids: [user.user_id] } })));
  return (
    <Dialog onClose={onClose} title={group.name}>
      {rules ? (
        <>
          <FaceField name={group.name} picture={group.avatar_url} onChange={async (picture) => void (await update({ avatar_url: picture }))} />
          <Edited label={text.groupName} value={group.name} most={64} needed onSave={(name) => set({ name })} />
          <Edited label={text.announcement} value={group.announcement} most={2_000} lines onSave={(announcement) => set({ announcement })} />
          <Choice label={text.muteAll} help={text.muteAllHelp} checked={group.mute_all} onChange={(on) => set({ mute_all: on })} />
          <Choice label={text.openHistory} help={text.openHistoryHelp} checked={group.history === 'all'} onChange={(on) => set({ history: on ? 'all' : 'joined' })} />
        </>
      ) : (
        <>
          <div className="face-field">
            <Face name={group.name} picture={group.avatar_url} size="xl" />
            <p className="announced">{group.announcement}</p>
          </div>
          {group.mute_all ? <p className="dim">{text.mutedAll}</p> : null}
        </>
      )}
      {error || list.error ? (
        <p className="error" role="alert">
          {error || list.error}
        </p>
      ) : null}
      {rules ? (
        <section className="section">
          <h2 className="title">{text.addMembers}</h2>
          <PersonSearch without={new Set(list.members.map((member) => member.user_id))} onPick={(user) => void add(user)} />
        </section>
      ) : null}
      <section className="section">
        <h2 className="title">{text.memberCount(group.member_count)}</h2>
        <MemberList me={me} group={group} list={list} change={change} />
      </section>
      <Ways group={group} me={me} onError={setError} onClose={onClose} />
    </Dialog>
  );
}

interface EditedProps {
  readonly label: string;
  readonly value: string;
  /** Characters. */
  readonly most: number;
  readonly needed?: boolean;
  readonly lines?: boolean;
  /** Answers whether it could be saved. */
  readonly onSave: (value: string) => Promise<boolean>;
}

/** A text that is changed and then saved. What others save meanwhile is shown while nothing was changed here. */
function Edited({ label, value, most, needed, lines, onSave }: EditedProps) {
  const text = useText();
  const [changed, setChanged] = useState<string | null>(null);
  const now = changed ?? value;
  const same = now.trim() === value;
  function submit(event: FormEvent): void {
    event.preventDefault();
    void onSave(now.trim()).then((done) => {
      if (done) setChanged(null);
    });
  }
  const field = { className: 'grow', label, maxLength: most, value: now, onChange: (event: { currentTarget: { value: string } }) => setChanged(event.currentTarget.value) };
  return (
    <form className="row row-low" onSubmit={submit}>
      {lines ? <Textarea {...field} rows={3} /> : <TextInput {...field} />}
      <Button type="submit" variant="light" disabled={same || (needed && !now.trim())} aria-label={`${text.save}: ${label}`}>
        {text.save}
      </Button>
    </form>
  );
}

/** The ways out. They are asked about before they are gone. */
function Ways({ group, me, onError, onClose }: { group: Conversation; me: User; onError: (words: string) => void; onClose: () => void }) {
  const client = useClient();
  const text = useText();
  const { ask, asked } = useQuestion();
  const path = { group_id: group.conversation_id };

  async function go(call: () => Promise<unknown>): Promise<void> {
    try {
      await call();
      onClose();
      open(null);
    } catch (failure) {
      onError(errorText(text, failure));
    }
  }

  const leave = () => go(() => answered(client.rest.DELETE('/v1/groups/{group_id}/members/{user_id}', { params: { path: { ...path, user_id: me.user_id } } })));
  const dissolve = () => go(() => answered(client.rest.DELETE('/v1/groups/{group_id}', { params: { path } })));
  return (
    <div className="row section">
      <Button variant="light" color="red" onClick={() => ask({ title: text.leave, words: group.role === 'owner' ? text.leaveSureOwner : text.leaveSure, onYes: () => void leave() })}>
        {text.leave}
      </Button>
      {group.role === 'owner' ? (
        <Button variant="subtle" color="red" onClick={() => ask({ title: text.dissolve, words: text.dissolveSure, onYes: () => void dissolve() })}>
          {text.dissolve}
        </Button>
      ) : null}
      {asked}
    </div>
  );
}
