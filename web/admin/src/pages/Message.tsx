import { Button, NativeSelect } from '@mantine/core';
import { useMemo, useState } from 'react';
import { useActions } from '../Actions';
import { useAnswer } from '../answer';
import { api } from '../calls';
import { content } from '../content';
import { after, count, exact, precise } from '../format';
import { useLanguage } from '../language';
import { timeOf, userOf } from '../lanes';
import { Card, Facts, Head, Moment, type Mood, Tag, UserLink } from '../Parts';
import { Link } from '../route';
import { Answered, Empty, MissingNodes } from '../States';
import { Table } from '../Table';
import { eventName, Timeline } from '../Timeline';
import type { Recipient, Trace, TraceDevice } from '../types';

/** One message, and what happened to it, for each who should have it. */
export default function Message({ id }: { readonly id: string }) {
  const { text } = useLanguage();
  const [cursors, setCursors] = useState<readonly string[]>(['']);
  const cursor = cursors.at(-1) ?? '';
  const trace = useAnswer(`trace ${id} ${cursor}`, (signal) => api.trace(id, cursor, signal));
  return (
    <>
      <Head title={text.messageTitle(id)} back={{ to: 'messages', title: text.sections.messages }}>
        <Button variant="default" onClick={trace.reload} loading={trace.loading && trace.data !== undefined}>
          {text.reload}
        </Button>
        <RemoveButton id={id} removed={trace.reload} />
      </Head>
      <Answered answer={trace}>
        {(found) => (
          <TraceView
            trace={found}
            page={cursors.length}
            previous={() => setCursors(cursors.slice(0, -1))}
            next={(after) => setCursors([...cursors, after])}
          />
        )}
      </Answered>
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

interface TraceViewProps {
  readonly trace: Trace;
  /** Which of its pages of recipients this is. */
  readonly page: number;
  readonly previous: () => void;
  readonly next: (cursor: string) => void;
}

function TraceView({ trace, page, previous, next }: TraceViewProps) {
  const { language, text } = useLanguage();
  const [user, setUser] = useState('');
  const people = [trace.sender, ...trace.recipients];
  // Somebody of another page is nobody of this one.
  const chosen = people.some(({ user_id }) => user_id === user) ? user : '';
  const shown = useMemo(() => (chosen ? only(trace, chosen) : trace), [trace, chosen]);
  const { accepted } = trace;
  return (
    <>
      <MissingNodes nodes={trace.missing_nodes} />
      <Gaps trace={trace} />
      <Card>
        <Facts
          facts={[
            [text.accepted, accepted.at ? precise(language, accepted.at) : '–'],
            ...(accepted.node ? [[text.node, accepted.node] as const] : []),
            ...(accepted.batch_size ? [[text.batch, text.batchOf(accepted.batch_size, accepted.batch_size > 1 ? accepted.batch_id : '')] as const] : []),
            ...(accepted.source === 'trace' ? [[text.commit, after(accepted.commit_ms)] as const] : []),
            [text.sender, <UserLink key="sender" id={trace.sender_id} name={trace.sender.username} />],
            [text.key, <code key="key">{trace.client_message_id}</code>],
            [
              text.conversation,
              <Link key="conversation" to={`conversations/${trace.conversation_id}`}>
                {trace.conversation_id}
              </Link>,
            ],
            [text.seq, count(language, trace.conversation_seq)],
            [text.delivery, text.deliveryNames(trace.delivery)],
            [text.reached, text.reachedOf(count(language, trace.totals.delivered), count(language, trace.totals.read), count(language, trace.totals.recipients))],
            ...(trace.recalled_at ? [[text.events.recalled, <Moment key="recalled" at={trace.recalled_at} />] as const] : []),
          ]}
        />
      </Card>
      <Card title={text.timeline}>
        {people.length > 2 ? (
          <div className="filters">
            <NativeSelect className="filter" size="sm" label={text.recipient} value={chosen} data={[{ value: '', label: text.all }, ...people.map(({ user_id, username }) => ({ value: user_id, label: username || user_id }))]} onChange={(event) => setUser(event.currentTarget.value)} />
          </div>
        ) : null}
        {shown.events.length > 0 ? <Timeline trace={shown} /> : <Empty>{text.noEvents}</Empty>}
      </Card>
      <Recipients trace={shown} page={page} previous={previous} next={next} />
      {shown.events.length > 0 ? <Events trace={shown} /> : null}
    </>
  );
}

/** A trace without the events of others. */
function only(trace: Trace, user: string): Trace {
  const is = (recipient: Recipient) => recipient.user_id === user;
  return {
    ...trace,
    sender: is(trace.sender) ? trace.sender : { ...trace.sender, devices: [] },
    recipients: trace.recipients.filter(is),
    events: trace.events.filter((event) => !userOf(event) || event.user_id === user),
  };
}

/** Says what a trace cannot show. */
function Gaps({ trace }: { readonly trace: Trace }) {
  const { text } = useLanguage();
  const said = [
    ...(!trace.sampled ? [text.notSampled] : !trace.complete && !trace.missing_nodes?.length ? [text.notComplete] : []),
    ...(trace.more_events ? [text.moreEvents] : []),
  ];
  return said.map((line) => (
    <p key={line} className="banner" role="status">
      {line}
    </p>
  ));
}

const deviceMoods: Record<TraceDevice['state'], Mood> = { acked: 'good', pushed: 'warn', waiting: 'warn', never_connected: 'plain', history: 'plain' };

function Recipients({ trace, page, previous, next }: TraceViewProps) {
  const { language, text } = useLanguage();
  const { sender, recipients, has_more, next_cursor } = trace;
  // Their own other devices get it too.
  const rows = sender.devices.length > 0 && !recipients.some(({ user_id }) => user_id === sender.user_id) ? [sender, ...recipients] : recipients;
  const sent = (user: string) => user === sender.user_id && !recipients.some(({ user_id }) => user_id === user);
  return (
    <Card title={text.recipients}>
      {rows.length === 0 ? (
        <Empty>{text.nothingFound}</Empty>
      ) : (
        <Table
          caption={text.recipients}
          rows={rows}
          keyOf={({ user_id }) => user_id}
          columns={[
            {
              title: text.username,
              cell: ({ user_id, username }) => (
                <>
                  <UserLink id={user_id} name={username} /> {sent(user_id) ? <span className="dim">{text.isSender}</span> : null}
                </>
              ),
            },
            { title: text.mailboxSeq, number: true, cell: ({ seq }) => (seq ? count(language, seq) : null) },
            { title: text.delivered, cell: ({ user_id, delivered, delivered_at }) => (sent(user_id) ? null : <Reached done={delivered} at={delivered_at} late />) },
            { title: text.read, cell: ({ user_id, read, read_at }) => (sent(user_id) ? null : <Reached done={read} at={read_at} />) },
            {
              title: text.devices,
              cell: ({ devices }) =>
                devices.length > 0 ? (
                  <ul className="device-list">
                    {devices.map((device) => (
                      <li key={device.device_id}>
                        {device.name || device.device_id} <Tag mood={deviceMoods[device.state] ?? 'plain'}>{text.deviceStates[device.state] ?? device.state}</Tag>
                      </li>
                    ))}
                  </ul>
                ) : null,
            },
          ]}
        />
      )}
      {has_more || page > 1 ? (
        <nav className="pager" aria-label={text.pages}>
          <Button variant="default" size="xs" disabled={page < 2} onClick={previous}>
            {text.previous}
          </Button>
          <span>{text.pageNumber(page)}</span>
          <Button variant="default" size="xs" disabled={!has_more} onClick={() => next(next_cursor ?? '')}>
            {text.next}
          </Button>
        </nav>
      ) : null}
    </Card>
  );
}

/** Whether it came that far, and when if that is known. */
function Reached({ done, at, late = false }: { readonly done: boolean; readonly at: number; readonly late?: boolean }) {
  const { language, text } = useLanguage();
  if (done) return <Tag mood="good">{at ? precise(language, at) : text.yes}</Tag>;
  return late ? <Tag mood="warn">{text.notYet}</Tag> : text.notYet;
}

function Events({ trace }: { readonly trace: Trace }) {
  const { language, text } = useLanguage();
  const people = [trace.sender, ...trace.recipients];
  const names = new Map(people.map(({ user_id, username }) => [user_id, username]));
  const devices = new Map(people.flatMap(({ user_id, devices: of }) => of.map(({ device_id, name }) => [`${user_id}/${device_id}`, name || device_id] as const)));
  const events = [...trace.events].sort((a, b) => timeOf(a) - timeOf(b)).map((event, n) => ({ ...event, n, time: timeOf(event) }));
  const start = events[0]?.time ?? 0;
  return (
    <Card title={text.eventsTitle}>
      <Table
        caption={text.eventsTitle}
        rows={events}
        keyOf={({ n }) => String(n)}
        columns={[
          { title: text.time, cell: ({ at }) => <time dateTime={new Date(at).toISOString()}>{exact(language, at)}</time> },
          { title: text.after, number: true, cell: ({ time }) => `+${after(time - start)}` },
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
