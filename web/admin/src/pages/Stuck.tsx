import { useActions } from '../Actions';
import { useAnswer } from '../answer';
import { api } from '../calls';
import { count } from '../format';
import { useLanguage } from '../language';
import { Card, Head, RowMenu, Stat, Tag, UserLink, When } from '../Parts';
import { useSearch } from '../route';
import { Answered, Empty, MissingNodes } from '../States';
import { Table } from '../Table';
import type { Stuck as StuckAnswer, StuckDevice } from '../types';

const shown = 100;

/** Devices that are behind, and how hard the nodes try. */
export default function Stuck() {
  const { language, text } = useLanguage();
  const { ask, act } = useActions();
  const [search, change] = useSearch();
  const sort = search.get('sort') === 'oldest' ? 'oldest' : 'lag';
  const answer = useAnswer(`stuck ${sort}`, (signal) => api.stuck({ sort, limit: shown }, signal), 10_000);
  const n = (value: number) => count(language, value);

  function actions({ user_id, username, device_id, name }: StuckDevice) {
    const device = name || device_id;
    const again = async (run: Promise<unknown>) => {
      await run;
      answer.reload();
    };
    return [
      { label: text.pushAgain, run: () => act(() => again(api.pushDevice(user_id, device_id)), text.pushedAgain(device)) },
      { label: text.closeSocket, run: () => act(() => again(api.closeDevice(user_id, device_id)), text.closedSocket(device)) },
      {
        label: text.forgetDevice,
        danger: true,
        run: () => ask({ title: text.forgetTitle(device), body: text.forgetBody(username), action: text.forgetDevice, done: text.forgotten(device), run: () => again(api.forgetDevice(user_id, device_id)) }),
      },
    ];
  }

  return (
    <>
      <Head title={text.sections.stuck} />
      <p className="lead">{text.stuckLead}</p>
      <Answered answer={answer}>
        {(stuck) => (
          <>
            <MissingNodes nodes={stuck.missing_nodes} />
            <Trouble stuck={stuck} />
            <Card title={text.furthestBehind}>
              <p className="dim">{text.scanned(n(stuck.scan_limit))}</p>
              {stuck.devices.length === 0 ? (
                <Empty>{text.nobodyStuck}</Empty>
              ) : (
                <Table
                  caption={text.furthestBehind}
                  rows={stuck.devices}
                  keyOf={({ user_id, device_id }) => `${user_id}/${device_id}`}
                  sort={`-${sort}`}
                  onSort={(chosen) => change({ sort: chosen.replace('-', '') })}
                  columns={[
                    { title: text.username, cell: ({ user_id, username }) => <UserLink id={user_id} name={username} /> },
                    { title: text.device, cell: ({ device_id, name }) => name || <code>{device_id}</code> },
                    { title: text.lag, sort: 'lag', number: true, cell: ({ lag }) => <b>{n(lag)}</b> },
                    { title: text.position, number: true, cell: ({ acked, head }) => text.positionOf(n(acked), n(head)) },
                    { title: text.oldest, sort: 'oldest', cell: ({ oldest_unacked_at }) => <When at={oldest_unacked_at} /> },
                    { title: text.state, cell: ({ connected }) => (connected ? <Tag mood="warn">{text.online}</Tag> : <Tag mood="plain">{text.offline}</Tag>) },
                    { title: text.node, cell: ({ node }) => node || null },
                    { title: text.attempts, number: true, cell: ({ attempts }) => attempts || null },
                    { title: text.lastSeen, cell: ({ last_seen_at, connected }) => (connected ? text.now : <When at={last_seen_at} />) },
                    { title: text.actions, cell: (device) => <RowMenu of={`${device.username} ${device.name || device.device_id}`} actions={actions(device)} /> },
                  ]}
                />
              )}
            </Card>
          </>
        )}
      </Answered>
    </>
  );
}

function Trouble({ stuck }: { readonly stuck: StuckAnswer }) {
  const { language, text } = useLanguage();
  const n = (value: number) => count(language, value);
  const most = Math.max(1, ...stuck.retry_histogram.map(({ entries }) => entries));
  return (
    <div className="columns">
      <Card title={text.retryHistogram}>
        <p className="dim">{text.retryLead}</p>
        {stuck.retry_histogram.length === 0 ? (
          <Empty>{text.nothingWaits}</Empty>
        ) : (
          <ol className="bars">
            {shownAttempts(stuck).map(({ attempt, entries }) => (
              <li key={attempt}>
                <span className="bar-name">{text.attemptNumber(attempt)}</span>
                <svg viewBox="0 0 100 10" preserveAspectRatio="none" className="bar-box" aria-hidden="true">
                  <rect width={entries > 0 ? Math.max((entries / most) * 100, 1) : 0} height="10" className={attempt > 2 ? 'bar-late' : 'bar-fill'} />
                </svg>
                <span className="bar-value">{n(entries)}</span>
              </li>
            ))}
          </ol>
        )}
      </Card>
      <Card title={text.troubles}>
        <dl className="stats">
          <Stat name={text.evictions} value={n(stuck.evictions)} more={text.evictionsMore} />
          <Stat name={text.closes4008} value={n(stuck.closes['4008'] ?? 0)} more={text.closes4008More} />
          <Stat name={text.closes4009} value={n(stuck.closes['4009'] ?? 0)} more={text.closes4009More} />
        </dl>
      </Card>
    </div>
  );
}

/** The first five attempts, and those above that have entries. */
function shownAttempts({ retry_histogram }: StuckAnswer): StuckAnswer['retry_histogram'] {
  return retry_histogram.filter(({ attempt, entries }) => attempt <= 5 || entries > 0);
}
