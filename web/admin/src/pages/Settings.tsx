import { Button, NativeSelect, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { useActions } from '../Actions';
import { useAnswer } from '../answer';
import { api } from '../calls';
import { useText } from '../language';
import { Card, Head, Moment, Tag } from '../Parts';
import { Answered, Empty, MissingNodes } from '../States';
import { Table } from '../Table';
import type { LogLevel, Setting } from '../types';

/** The configuration in force, and how much is logged. */
export default function Settings() {
  const text = useText();
  return (
    <>
      <Head title={text.sections.settings} />
      <LogLevels />
      <Configuration />
    </>
  );
}

const levels = ['debug', 'info', 'warn', 'error'] as const;
const spans = [0, 10 * 60_000, 60 * 60_000];

function LogLevels() {
  const text = useText();
  const { act } = useActions();
  const answer = useAnswer('log-level', api.logLevels, 10_000);
  const [level, setLevel] = useState<LogLevel['level']>('debug');
  const [node, setNode] = useState('');
  const [forMs, setForMs] = useState(spans[1] ?? 0);

  function submit(event: FormEvent): void {
    event.preventDefault();
    act(async () => {
      await api.setLogLevel({ level, ...(node ? { node } : {}), ...(forMs > 0 ? { for_ms: forMs } : {}) });
      answer.reload();
    }, text.logLevelSet(level));
  }

  return (
    <Card title={text.logLevel}>
      <Answered answer={answer}>
        {({ nodes, missing_nodes }) => (
          <>
            <MissingNodes nodes={missing_nodes} />
            <Table<LogLevel>
              caption={text.logLevel}
              rows={nodes}
              keyOf={(of) => of.node}
              columns={[
                { title: text.node, cell: (of) => of.node },
                { title: text.level, cell: (of) => <Tag mood={of.until ? 'warn' : 'plain'}>{of.level.toLowerCase()}</Tag> },
                { title: text.until, cell: (of) => (of.until ? <Moment at={of.until} /> : null) },
              ]}
            />
            <form className="filters" onSubmit={submit}>
              <NativeSelect className="filter" size="sm" label={text.level} data={[...levels]} value={level} onChange={(event) => setLevel(levels.find((name) => name === event.currentTarget.value) ?? 'info')} />
              <NativeSelect className="filter" size="sm" label={text.node} data={[{ value: '', label: text.all }, ...nodes.map((of) => ({ value: of.node, label: text.nodeName(of.node) }))]} value={node} onChange={(event) => setNode(event.currentTarget.value)} />
              <NativeSelect
                className="filter"
                size="sm"
                label={text.duration}
                data={spans.map((ms) => ({ value: String(ms), label: ms > 0 ? text.minutes(ms / 60_000) : text.untilRestart }))}
                value={String(forMs)}
                onChange={(event) => setForMs(Number(event.currentTarget.value))}
              />
              <Button type="submit">{text.set}</Button>
            </form>
          </>
        )}
      </Answered>
    </Card>
  );
}

function Configuration() {
  const text = useText();
  const answer = useAnswer('config', api.settings);
  const [word, setWord] = useState('');
  const [changed, setChanged] = useState(false);
  const sought = word.trim().toLowerCase();
  const wanted = (setting: Setting) => (!changed || setting.changed) && (!sought || [setting.name, setting.env, setting.help].some((of) => of.toLowerCase().includes(sought)));
  return (
    <Card title={text.configuration}>
      <p className="dim">{text.configurationLead}</p>
      <div className="filters">
        <TextInput className="filter" size="sm" label={text.search} value={word} onChange={(event) => setWord(event.currentTarget.value)} />
        <NativeSelect className="filter" size="sm" label={text.show} value={changed ? 'changed' : ''} data={[{ value: '', label: text.all }, { value: 'changed', label: text.changedOnly }]} onChange={(event) => setChanged(event.currentTarget.value !== '')} />
      </div>
      <Answered answer={answer}>
        {({ settings }) => {
          const rows = settings.filter(wanted);
          return rows.length === 0 ? (
            <Empty>{text.nothingFound}</Empty>
          ) : (
            <Table
              caption={text.configuration}
              rows={rows}
              keyOf={({ name }) => name}
              columns={[
                { title: text.setting, cell: ({ env, name }) => <code>{env || name}</code> },
                {
                  title: text.value,
                  cell: (setting) => (
                    <>
                      {setting.value === '' ? null : <code className="value">{setting.value}</code>} {setting.changed ? <Tag mood="warn">{text.changed}</Tag> : null} {setting.secret ? <Tag mood="plain">{text.secret}</Tag> : null}
                    </>
                  ),
                },
                { title: text.defaultValue, cell: (setting) => (setting.default ? <code className="value">{setting.default}</code> : null) },
                { title: text.meaning, cell: ({ help }) => <span className="help">{help}</span> },
              ]}
            />
          );
        }}
      </Answered>
    </Card>
  );
}
