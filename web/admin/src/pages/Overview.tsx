import { NativeSelect } from '@mantine/core';
import { useMemo, useRef, useState } from 'react';
import { useAnswer } from '../answer';
import { api } from '../calls';
import { Chart, type Line } from '../Chart';
import { bytes, count, figure } from '../format';
import { type Text, useLanguage } from '../language';
import { Card, Head, Stat } from '../Parts';
import { SeriesBook } from '../series';
import { Answered, Empty, MissingNodes } from '../States';
import type { Sample } from '../types';

const step = 2_000; // ms between polls
const mebibyte = 1024 * 1024;
const catchUp = 2; // minutes that a poll brings

type Measure = { readonly key: keyof Sample; readonly name: keyof Text['measures'] };

interface Plot {
  readonly title: keyof Text['charts'];
  readonly measures: readonly Measure[];
  /** What several nodes are together. */
  readonly together: 'sum' | 'highest' | 'mean';
  readonly unit: 'count' | 'ms' | 'MiB';
}

const plots: readonly Plot[] = [
  { title: 'rates', together: 'sum', unit: 'count', measures: [{ key: 'sends', name: 'sends' }, { key: 'pushes', name: 'pushes' }, { key: 'acks', name: 'acks' }] },
  { title: 'delivery', together: 'highest', unit: 'ms', measures: [{ key: 'send_push_p50_ms', name: 'p50' }, { key: 'send_push_p99_ms', name: 'p99' }] },
  { title: 'commit', together: 'highest', unit: 'ms', measures: [{ key: 'commit_p50_ms', name: 'p50' }, { key: 'commit_p99_ms', name: 'p99' }] },
  { title: 'ack', together: 'highest', unit: 'ms', measures: [{ key: 'ack_p50_ms', name: 'p50' }, { key: 'ack_p99_ms', name: 'p99' }] },
  { title: 'sessions', together: 'sum', unit: 'count', measures: [{ key: 'sessions', name: 'sessions' }] },
  { title: 'queues', together: 'sum', unit: 'count', measures: [{ key: 'ack_queue', name: 'ackQueue' }, { key: 'writer_queue', name: 'writerQueue' }] },
  { title: 'batch', together: 'mean', unit: 'count', measures: [{ key: 'batch_size', name: 'batch' }] },
  { title: 'trouble', together: 'sum', unit: 'count', measures: [{ key: 'errors', name: 'errors' }, { key: 'retries', name: 'retries' }, { key: 'duplicates', name: 'duplicates' }, { key: 'evictions', name: 'evictions' }, { key: 'repairs', name: 'repairs' }] },
  { title: 'memory', together: 'sum', unit: 'MiB', measures: [{ key: 'heap_bytes', name: 'heap' }] },
  { title: 'goroutines', together: 'sum', unit: 'count', measures: [{ key: 'goroutines', name: 'goroutines' }] },
];

/** Where the colour tells the node, the measures of a plot, the first of which is a whole line. */
const dashes: readonly (readonly number[] | undefined)[] = [undefined, [6, 4], [2, 3], [10, 4], [10, 3, 2, 3]];
const colors = ['--line-1', '--line-2', '--line-3', '--line-4', '--line-5', '--line-6'];

/** Live charts of all nodes, and what is stored. */
export default function Overview() {
  const { text } = useLanguage();
  return (
    <>
      <Head title={text.sections.overview} />
      <Stored />
      <Live />
    </>
  );
}

function Live() {
  const { language, text } = useLanguage();
  const [minutes, setMinutes] = useState(15);
  const [shown, setShown] = useState('');
  const book = useRef({ minutes: 0, series: new SeriesBook() });
  const answer = useAnswer(
    `series ${minutes}`,
    async (signal) => {
      const fresh = book.current.minutes !== minutes;
      const series = await api.series(fresh ? minutes : Math.min(catchUp, minutes), signal);
      if (fresh) book.current = { minutes, series: new SeriesBook() };
      book.current.series.add(series, minutes);
      return { missing: series.missing_nodes, book: book.current.series };
    },
    step,
  );
  const data = answer.data;
  const drawn = useMemo(() => {
    if (!data) return null;
    const slots = data.book.slots();
    const nodes = data.book.nodes();
    const each = shown === 'each';
    const chosen = nodes.includes(shown) ? [shown] : nodes;
    const groups = each ? nodes.map((node) => [node]) : [chosen];
    return {
      nodes,
      times: data.book.times(slots),
      charts: plots.map((plot) => ({
        plot,
        lines: groups.flatMap((group, g) =>
          plot.measures.map<Line>((measure, m) => {
            const name = text.measures[measure.name];
            return {
              label: each ? `${text.nodeName(group[0] ?? '')} · ${name}` : name,
              color: (each ? colors[g % colors.length] : colors[m % colors.length]) ?? '--line-1',
              dash: each ? dashes[m] : undefined,
              values: data.book.line(measure.key, group, slots, plot.together, plot.unit === 'MiB' ? mebibyte : 1),
            };
          }),
        ),
      })),
    };
  }, [data, shown, text]);
  const say = (unit: Plot['unit']) => (n: number) => (unit === 'count' ? figure(language, n) : `${figure(language, n)} ${unit}`);

  return (
    <>
      <div className="filters">
        <NativeSelect
          className="filter"
          size="sm"
          label={text.show}
          value={shown}
          data={[{ value: '', label: text.allNodes }, { value: 'each', label: text.eachNode }, ...(drawn?.nodes ?? []).map((node) => ({ value: node, label: text.nodeName(node) }))]}
          onChange={(event) => setShown(event.currentTarget.value)}
        />
        <NativeSelect
          className="filter"
          size="sm"
          label={text.range}
          value={String(minutes)}
          data={[5, 15, 60].map((n) => ({ value: String(n), label: text.lastMinutes(n) }))}
          onChange={(event) => setMinutes(Number(event.currentTarget.value))}
        />
      </div>
      <Answered answer={answer}>
        {({ missing }) => (
          <>
            <MissingNodes nodes={missing} />
            {drawn && drawn.times.length > 0 ? (
              <div className="charts">
                {drawn.charts.map(({ plot, lines }) => (
                  <Chart key={plot.title} title={text.charts[plot.title]} times={drawn.times} lines={lines} say={say(plot.unit)} />
                ))}
              </div>
            ) : (
              <Empty>{text.noSamples}</Empty>
            )}
          </>
        )}
      </Answered>
    </>
  );
}

/** MariaDB 10.11.19: what serves it, without the packager's additions. */
function databaseName({ dialect, version }: { readonly dialect: string; readonly version: string }): string {
  const product = /MariaDB|TiDB/i.exec(version)?.[0] ?? (dialect === 'sqlite' ? 'SQLite' : 'MySQL');
  return `${product} ${version.split('-')[0]}`;
}

function Stored() {
  const { language, text } = useLanguage();
  const answer = useAnswer('statistics', api.statistics, 30_000);
  const n = (value: number) => count(language, value);
  return (
    <Card title={text.stored}>
      <Answered answer={answer}>
        {(s) => {
          const about = (field: keyof typeof s, value: string) => (s.estimated.includes(field) ? `≈ ${value}` : value);
          return (
            <dl className="stats">
              <Stat name={text.stats.users} value={about('users', n(s.users))} more={text.stats.usersMore(n(s.users_banned), n(s.admins), n(s.registrations_24h))} />
              <Stat name={text.stats.messages} value={about('messages', n(s.messages))} more={text.stats.messagesMore(about('messages_24h', n(s.messages_24h)))} />
              <Stat name={text.stats.conversations} value={about('conversations', n(s.conversations.direct + s.conversations.group + s.conversations.log))} more={text.stats.conversationsMore(n(s.conversations.direct), n(s.conversations.group), n(s.conversations.log))} />
              <Stat name={text.stats.mailboxes} value={about('mailbox_entries', n(s.mailbox_entries))} more={text.stats.mailboxesMore(about('devices', n(s.devices)))} />
              <Stat name={text.stats.files} value={about('file_bytes', bytes(language, s.file_bytes))} more={text.stats.filesMore(about('files', n(s.files)))} />
              <Stat name={text.stats.database} value={bytes(language, s.database.size_bytes)} more={databaseName(s.database)} />
              {s.redis.state !== 'up' || s.redis.version ? <Stat name={text.stats.redis} value={s.redis.state === 'up' ? bytes(language, s.redis.memory_bytes) : text.nodeStates.down} more={s.redis.version} /> : null}
            </dl>
          );
        }}
      </Answered>
    </Card>
  );
}
