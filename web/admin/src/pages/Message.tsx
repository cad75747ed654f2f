import { Button, NativeSelect } from '@mantine/core';
import { useMemo, useState } from 'react';
import { useActions } from '../Actions';
import { useAnswer } from '../answer';
import { api } from '../calls';
import { content } from '../content';
import { after, count, exact, precise, span } from '../format';
import { useLanguage } from '../language';
import { Card, Facts, Head, Moment, type Mood, Tag, UserLink } from '../Parts';
import { Link } from '../route';
import { Answered, Empty, MissingNodes } from '../States';
import { Table } from '../Table';
import { eventName, Timeline } from '../Timeline';
import type { Recipient, Trace, TraceDevice } from '../types';

/** One message, and what happened to it, for each who should have it. */
export default function Message({ id }: { readonly id: string }) {
  const { text } = useLanguage();
  const trace = useAnswer(`trace ${id}`, (signal) => api.trace(id, signal));
  return (
    <>
      <Head title={text.messageTitle(id)} back={{ to: 'messages', title: text.sections.messages }}>
        <Button variant="default" onClick={trace.reload} loading={trace.loading && trace.data !== undefined}>
          {text.reload}
        </Button>
        <RemoveButton id={id} removed={trace.reload} />
      </Head>
      <Answered answer={trace}>{(found) => <TraceView trace={found} />}</Answered>
      <Content id={id} />
    </>
  );
}

function RemoveButton({ id, removed }: { readonly id: string; readonly removed: () => void }) {
  const { text } = useLanguage();
  const { ask } = useActions();
  return (
    <Button
      color="red"
      variant="light"
      onClick={() =>
        ask({
          title: text.removeMessageTitle,
          body: text.removeMessageBody,
          action: text.removeMessage,
          input: { label: text.reason, kind: 'area', required: false },
          done: text.removedMessage,
          run: async (reason) => {
            await api.removeMessage(id, reason.trim());
            removed();
          },
        })
      }
    >
      {text.removeMessage}
    </Button>
  );
}

/** Reading it is written into the audit log, so it is shown on demand. */
function Content({ id }: { readonly id: string }) {
  const { text } = useLanguage();
  const [shown, setShown] = useState(false);
  return (
    <Card title={text.content}>
      {shown ? (
        <ContentOf id={id} />
      ) : (
        <>
          <p className="dim">{text.auditedBefore}</p>
          <Button variant="default" onClick={() => setShown(true)}>
            {text.showContent}
          </Button>
        </>
      )}
    </Card>
  );
}

function ContentOf({ id }: { readonly id: string }) {
  const { text } = useLanguage();
  const answer = useAnswer(`message ${id}`, (signal) => api.message(id, signal));
  return <Answered answer={answer}>{({ message }) => <pre className="content">{content(text, message)}</pre>}</Answered>;
}

function TraceView({ trace }: { readonly trace: Trace }) {
  const { language, text } = useLanguage();
  const [user, setUser] = useState('');
  const shown = useMemo(
    () =>
      user
        ? { ...trace, events: trace.events.filter(({ user_id }) => !user_id || user_id === user), recipients: trace.recipients.filter(({ user_id }) => user_id === user) }
        : trace,
    [trace, user],
  );
  const { accepted } = trace;
  return (
    <>
      <MissingNodes nodes={trace.missing_nodes} />
      {!trace.sampled ? (
        <p className="banner" role="status">
          {text.notSampled}
        </p>
      ) : !trace.complete && !trace.missing_nodes?.length ? (
        <p className="banner" role="status">
          {text.notComplete}
        </p>
      ) : null}
      <Card>
        <Facts
          facts={[
            [text.accepted, accepted.at ? precise(language, accepted.at) : '–'],
            ...(accepted.node ? [[text.node, accepted.node] as const] : []),
            ...(accepted.batch_size ? [[text.batch, text.batchOf(accepted.batch_size, accepted.batch_id ?? '')] as const] : []),
            ...(accepted.commit_ms !== undefined ? [[text.commit, span(accepted.commit_ms)] as const] : []),
            [text.sender, <UserLink key="sender" id={trace.sender_id} name={trace.recipients.find(({ user_id }) => user_id === trace.sender_id)?.username ?? trace.sender_id} />],
            [text.key, <code key="key">{trace.client_message_id}</code>],
            [
              text.conversation,
              <Link key="conversation" to={`conversations/${trace.conversation_id}`}>
                {trace.conversation_id}
              </Link>,
            ],
            [text.delivery, text.deliveryNames(trace.delivery)],
            [text.reached, reachedOf(trace, (n) => count(language, n), text.reachedOf)],
          ]}
        />
      </Card>
      <Card title={text.timeline}>
        {trace.recipients.length > 2 ? (
          <div className="filters">
            <NativeSelect className="filter" size="sm" label={text.recipient} value={user} data={[{ value: '', label: text.all }, ...trace.recipients.map(({ user_id, username }) => ({ value: user_id, label: username }))]} onChange={(event) => setUser(event.currentTarget.value)} />
          </div>
        ) : null}
        {shown.events.length > 0 ? <Timeline trace={shown} /> : <Empty>{text.noEvents}</Empty>}
      </Card>
      <Recipients recipients={shown.recipients} />
      {shown.events.length > 0 ? <Events trace={shown} /> : null}
    </>
  );
}

function reachedOf(trace: Trace, n: (value: number) => string, say: (delivered: string, read: string, all: string) => string): string {
  const all = trace.totals?.recipients ?? trace.recipients.length;
  const delivered = trace.totals?.delivered ?? trace.recipients.filter((recipient) => recipient.delivered).length;
  const read = trace.totals?.read ?? trace.recipients.filter((recipient) => recipient.read).length;
  return say(n(delivered), n(read), n(all));
}

const deviceMoods: Record<TraceDevice['state'], Mood> = { acked: 'good', pushed: 'warn', waiting: 'warn', never_connected: 'plain' };

function Recipients({ recipients }: { readonly recipients: readonly Recipient[] }) {
  const { language, text } = useLanguage();
  return (
    <Card title={text.recipients}>
      {recipients.length === 0 ? (
        <Empty>{text.nothingFound}</Empty>
      ) : (
        <Table
          caption={text.recipients}
          rows={recipients}
          keyOf={({ user_id }) => user_id}
          columns={[
            { title: text.username, cell: ({ user_id, username }) => <UserLink id={user_id} name={username} /> },
            { title: text.mailboxSeq, number: true, cell: ({ seq }) => (seq ? count(language, seq) : null) },
            { title: text.delivered, cell: ({ delivered }) => (delivered ? <Tag mood="good">{text.yes}</Tag> : <Tag mood="warn">{text.notYet}</Tag>) },
            { title: text.read, cell: ({ read, read_at }) => (read ? <Tag mood="good">{read_at ? <Moment at={read_at} /> : text.yes}</Tag> : text.notYet) },
            {
              title: text.devices,
              cell: ({ devices }) => (
                <ul className="device-list">
                  {(devices ?? []).map((device) => (
                    <li key={device.device_id}>
                      {device.name || device.device_id} <Tag mood={deviceMoods[device.state] ?? 'plain'}>{text.deviceStates[device.state] ?? device.state}</Tag>
                    </li>
                  ))}
                </ul>
              ),
            },
          ]}
        />
      )}
    </Card>
  );
}

function Events({ trace }: { readonly trace: Trace }) {
  const { language, text } = useLanguage();
  const names = new Map(trace.recipients.map(({ user_id, username }) => [user_id, username]));
  const devices = new Map(trace.recipients.flatMap(({ user_id, devices: of }) => (of ?? []).map(({ device_id, name }) => [`${user_id}/${device_id}`, name || device_id] as const)));
  const events = [...trace.events].sort((a, b) => a.at - b.at).map((event, n) => ({ ...event, n }));
  const start = events[0]?.at ?? 0;
  return (
    <Card title={text.eventsTitle}>
      <Table
        caption={text.eventsTitle}
        rows={events}
        keyOf={({ n }) => String(n)}
        columns={[
          { title: text.time, cell: ({ at }) => <time dateTime={new Date(at).toISOString()}>{exact(language, at)}</time> },
          { title: text.after, number: true, cell: ({ at }) => `+${after(at - start)}` },
          { title: text.event, cell: ({ kind }) => <b>{eventName(text, kind)}</b> },
          { title: text.node, cell: ({ node }) => node || null },
          { title: text.username, cell: ({ user_id }) => (user_id ? <UserLink id={user_id} name={names.get(user_id) ?? user_id} /> : null) },
          { title: text.device, cell: ({ user_id, device_id }) => (device_id ? devices.get(`${user_id}/${device_id}`) ?? device_id : null) },
          { title: text.seq, number: true, cell: ({ seq }) => (seq ? count(language, seq) : null) },
          { title: text.attempt, number: true, cell: ({ attempt }) => attempt || null },
          { title: text.detail, cell: ({ detail }) => detail || null },
        ]}
      />
    </Card>
  );
}
