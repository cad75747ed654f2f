import { Button } from '@mantine/core';
import { useActions } from '../Actions';
import { useAnswer } from '../answer';
import { api } from '../calls';
import { bytes, count } from '../format';
import { useLanguage } from '../language';
import { Card, Facts, Head, Moment, RowMenu, Tag, When } from '../Parts';
import { Link } from '../route';
import { Answered, Empty, MissingNodes } from '../States';
import { Table } from '../Table';
import type { Device, UserDetails } from '../types';

/** One account: what it has, its devices, and what an operator can do to it. */
export default function User({ id }: { readonly id: string }) {
  const { language, text } = useLanguage();
  const answer = useAnswer(`user ${id}`, (signal) => api.user(id, signal));
  const n = (value: number) => count(language, value);
  return (
    <>
      <Answered answer={answer}>
        {(details) => (
          <>
            <MissingNodes nodes={details.missing_nodes} />
            <Head title={details.user.display_name || details.user.username} back={{ to: 'users', title: text.sections.users }}>
              <UserActions details={details} changed={answer.reload} />
            </Head>
            <Card>
              <Facts
                facts={[
                  [text.username, details.user.username],
                  [text.id, <code key="id">{id}</code>],
                  [text.role, text.roles[details.user.role] ?? details.user.role],
                  [
                    text.state,
                    <span key="state" className="row wrap">
                      {details.user.banned_at ? (
                        <Tag mood="bad">
                          {text.banned} <When at={details.user.banned_at} />
                        </Tag>
                      ) : (
                        <Tag mood="good">{text.active}</Tag>
                      )}
                      <Tag mood={details.online ? 'good' : 'plain'}>{details.online ? text.online : text.offline}</Tag>
                    </span>,
                  ],
                  [text.created, <Moment key="created" at={details.user.created_at} />],
                  [text.mailbox, text.mailboxRange(n(details.mailbox.floor), n(details.mailbox.head))],
                  [
                    text.sections.conversations,
                    <Link key="conversations" to={`conversations?member_id=${id}`}>
                      {n(details.conversations)}
                    </Link>,
                  ],
                  [text.stats.files, bytes(language, details.file_bytes)],
                  [
                    text.sections.audit,
                    <Link key="audit" to={`audit?target_kind=user&target_id=${id}`}>
                      {text.showAudit}
                    </Link>,
                  ],
                ]}
              />
            </Card>
            <Devices id={id} username={details.user.username} />
          </>
        )}
      </Answered>
    </>
  );
}

function UserActions({ details: { user }, changed }: { readonly details: UserDetails; readonly changed: () => void }) {
  const { text } = useLanguage();
  const { ask } = useActions();
  const { id, username } = user;
  const then = (run: (input: string) => Promise<unknown>) => async (input: string) => {
    await run(input);
    changed();
  };
  return (
    <>
      {user.banned_at ? (
        <Button variant="default" onClick={() => ask({ title: text.unbanTitle(username), body: text.unbanBody, action: text.unban, mild: true, done: text.unbanned(username), run: then(() => api.unban(id)) })}>
          {text.unban}
        </Button>
      ) : (
        <Button
          color="red"
          variant="light"
          onClick={() => ask({ title: text.banTitle(username), body: text.banBody, action: text.ban, input: { label: text.reason, kind: 'area', required: false }, done: text.bannedNow(username), run: then((reason) => api.ban(id, reason.trim())) })}
        >
          {text.ban}
        </Button>
      )}
      <Button
        variant="default"
        onClick={() =>
          user.role === 'admin'
            ? ask({ title: text.demoteTitle(username), body: text.demoteBody, action: text.demote, done: text.demoted(username), run: then(() => api.setRole(id, 'user')) })
            : ask({ title: text.promoteTitle(username), body: text.promoteBody, action: text.promote, done: text.promoted(username), run: then(() => api.setRole(id, 'admin')) })
        }
      >
        {user.role === 'admin' ? text.demote : text.promote}
      </Button>
      <Button
        variant="default"
        onClick={() =>
          ask({
            title: text.resetTitle(username),
            body: text.resetBody,
            action: text.reset,
            input: { label: text.newPassword, kind: 'password', required: false, minLength: 10 },
            done: '',
            run: async (typed) => {
              const { password } = await api.resetPassword(id, typed);
              return password ? text.resetDone(password) : text.resetGiven(username);
            },
          })
        }
      >
        {text.reset}
      </Button>
      <Button variant="default" onClick={() => ask({ title: text.signOutTitle(username), body: text.signOutBody, action: text.signOutUser, done: text.signedOut(username), run: then(() => api.signOutUser(id)) })}>
        {text.signOutUser}
      </Button>
    </>
  );
}

function Devices({ id, username }: { readonly id: string; readonly username: string }) {
  const { language, text } = useLanguage();
  const { ask, act } = useActions();
  const answer = useAnswer(`devices ${id}`, (signal) => api.devices(id, signal), 5_000);
  const n = (value: number) => count(language, value);

  function actions(device: Device) {
    const name = device.name || device.device_id;
    const again = async (run: Promise<unknown>) => {
      await run;
      answer.reload();
    };
    return [
      { label: text.pushAgain, run: () => act(() => again(api.pushDevice(id, device.device_id)), text.pushedAgain(name)) },
      { label: text.closeSocket, run: () => act(() => again(api.closeDevice(id, device.device_id)), text.closedSocket(name)) },
      {
        label: text.forgetDevice,
        danger: true,
        run: () => ask({ title: text.forgetTitle(name), body: text.forgetBody(username), action: text.forgetDevice, done: text.forgotten(name), run: () => again(api.forgetDevice(id, device.device_id)) }),
      },
    ];
  }

  return (
    <Card title={text.devices}>
      <Answered answer={answer}>
        {({ devices, missing_nodes }) => (
          <>
            <MissingNodes nodes={missing_nodes} />
            {devices.length === 0 ? (
              <Empty>{text.noDevices}</Empty>
            ) : (
              <Table
                caption={text.devices}
                rows={devices}
                keyOf={({ device_id }) => device_id}
                columns={[
                  {
                    title: text.device,
                    cell: ({ name, device_id }) => (
                      <>
                        {name ? <div>{name}</div> : null}
                        <code>{device_id}</code>
                      </>
                    ),
                  },
                  { title: text.state, cell: (device) => (device.connected ? <Tag mood={device.state === 'behind' ? 'warn' : 'good'}>{text.socketState(device.state ?? 'live')}</Tag> : <Tag mood="plain">{text.offline}</Tag>) },
                  { title: text.node, cell: ({ node }) => node || null },
                  { title: text.position, number: true, cell: ({ acked, head }) => text.positionOf(n(acked), n(head)) },
                  { title: text.lag, number: true, cell: ({ lag }) => (lag > 0 ? <b>{n(lag)}</b> : '0') },
                  { title: text.unacked, number: true, cell: ({ pending = 0, attempts = 0 }) => (pending > 0 ? text.pendingOf(n(pending), attempts) : '0') },
                  { title: text.lastSeen, cell: ({ last_seen_at, connected }) => (connected ? text.now : <When at={last_seen_at} />) },
                  { title: text.actions, cell: (device) => <RowMenu of={device.name || device.device_id} actions={actions(device)} /> },
                ]}
              />
            )}
          </>
        )}
      </Answered>
    </Card>
  );
}
