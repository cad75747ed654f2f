import { useActions } from '../Actions';
import { useAnswer } from '../answer';
import { api } from '../calls';
import { ChoiceFilter, TextFilter } from '../Filters';
import { count } from '../format';
import { useLanguage } from '../language';
import { Card, Head, RowMenu, Tag, UserLink, When } from '../Parts';
import { useSearch } from '../route';
import { Answered, Empty, MissingNodes } from '../States';
import { Listing, Table } from '../Table';
import type { Socket } from '../types';

/** The sockets of all nodes, and what waits for an ack. */
export default function Sessions() {
  const { language, text } = useLanguage();
  const { act } = useActions();
  const [search] = useSearch();
  const filter = { node: search.get('node') ?? '', state: search.get('state') ?? '', user_id: search.get('user_id') ?? '' };
  const n = (value: number) => count(language, value);
  return (
    <>
      <Head title={text.sections.sessions} />
      <AckQueues />
      <Card title={text.sockets}>
        <div className="filters">
          <TextFilter name="node" label={text.node} />
          <ChoiceFilter name="state" label={text.state} choices={[{ value: '', label: text.any }, { value: 'live', label: text.socketState('live') }, { value: 'behind', label: text.socketState('behind') }]} />
          <TextFilter name="user_id" label={text.userId} />
        </div>
        <Listing<Socket>
          name={JSON.stringify(filter)}
          caption={text.sockets}
          sort="-pending"
          every={5_000}
          empty={text.noSockets}
          keyOf={({ node, connection_id }) => `${node}/${connection_id}`}
          load={async (query, signal) => {
            const page = await api.sockets({ ...filter, ...query }, signal);
            return { ...page, rows: page.sessions };
          }}
          columns={[
            { title: text.username, cell: ({ user_id, username }) => <UserLink id={user_id} name={username} /> },
            { title: text.device, cell: ({ device_id }) => <code>{device_id}</code> },
            { title: text.node, cell: ({ node }) => node },
            { title: text.state, cell: ({ state }) => <Tag mood={state === 'behind' ? 'warn' : 'good'}>{text.socketState(state)}</Tag> },
            { title: text.connected, sort: 'connected_at', cell: ({ connected_at }) => <When at={connected_at} /> },
            { title: text.pushed, number: true, cell: ({ pushed }) => n(pushed) },
            { title: text.acked, number: true, cell: ({ acked }) => n(acked) },
            { title: text.unacked, sort: 'pending', number: true, cell: ({ pending }) => (pending > 0 ? <b>{n(pending)}</b> : '0') },
            { title: text.attempts, number: true, cell: ({ attempts }) => n(attempts) },
            {
              title: text.actions,
              cell: ({ user_id, username, device_id }) => (
                <RowMenu
                  of={`${username} ${device_id}`}
                  actions={[
                    { label: text.pushAgain, run: () => act(() => api.pushDevice(user_id, device_id), text.pushedAgain(device_id)) },
                    { label: text.closeSocket, run: () => act(() => api.closeDevice(user_id, device_id), text.closedSocket(device_id)) },
                  ]}
                />
              ),
            },
          ]}
        />
      </Card>
    </>
  );
}

function AckQueues() {
  const { language, text } = useLanguage();
  const answer = useAnswer('ack-queue', api.ackQueue, 5_000);
  const n = (value: number) => count(language, value);
  return (
    <Card title={text.ackQueue}>
      <Answered answer={answer}>
        {({ nodes, missing_nodes }) => (
          <>
            <MissingNodes nodes={missing_nodes} />
            {nodes.length === 0 ? (
              <Empty>{text.nothingFound}</Empty>
            ) : (
              <Table
                caption={text.ackQueue}
                rows={nodes}
                keyOf={({ node }) => node}
                columns={[
                  { title: text.node, cell: ({ node }) => <b>{node}</b> },
                  { title: text.waiting, number: true, cell: ({ entries, capacity }) => text.positionOf(n(entries), n(capacity)) },
                  { title: text.oldest, cell: ({ oldest_pushed_at }) => <When at={oldest_pushed_at} /> },
                  { title: text.byAttempt, cell: ({ by_attempt }) => by_attempt.slice(0, Math.max(3, by_attempt.findLastIndex((entries) => entries > 0) + 1)).map(n).join(' · ') },
                  { title: text.retries, number: true, cell: ({ retries }) => n(retries) },
                  { title: text.evictions, number: true, cell: ({ evictions }) => n(evictions) },
                ]}
              />
            )}
          </>
        )}
      </Answered>
    </Card>
  );
}
