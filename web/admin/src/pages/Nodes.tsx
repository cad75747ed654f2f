import { Button } from '@mantine/core';
import { useActions } from '../Actions';
import { useAnswer } from '../answer';
import { api } from '../calls';
import { bytes, count, span } from '../format';
import { useLanguage } from '../language';
import { Head, type Mood, Tag, When } from '../Parts';
import { Answered, Empty, MissingNodes } from '../States';
import { Table } from '../Table';
import type { Node } from '../types';

const moods: Record<Node['state'], Mood> = { up: 'good', draining: 'warn', down: 'bad' };

/** The nodes of the cluster, and taking one out of it for a while. */
export default function Nodes() {
  const { language, text } = useLanguage();
  const { ask, act } = useActions();
  const answer = useAnswer('nodes', api.nodes, 5_000);

  function drain({ node }: Node): void {
    ask({
      title: text.drainTitle(node),
      body: text.drainBody,
      action: text.drain,
      done: text.drained(node),
      run: async () => {
        await api.drain(node);
        answer.reload();
      },
    });
  }

  return (
    <>
      <Head title={text.sections.nodes} />
      <Answered answer={answer}>
        {({ nodes, missing_nodes }) => (
          <>
            <MissingNodes nodes={missing_nodes} />
            {nodes.length === 0 ? <Empty>{text.nothingFound}</Empty> : null}
            <Table
              caption={text.sections.nodes}
              rows={nodes}
              keyOf={({ node }) => node}
              columns={[
                {
                  title: text.node,
                  cell: ({ node, self }) => (
                    <>
                      <b>{node}</b> {self ? <span className="dim">{text.thisNode}</span> : null}
                    </>
                  ),
                },
                { title: text.state, cell: ({ state }) => <Tag mood={moods[state] ?? 'plain'}>{text.nodeStates[state] ?? state}</Tag> },
                { title: text.address, cell: ({ address }) => <code>{address || null}</code> },
                { title: text.version, cell: ({ version }) => version },
                { title: text.uptime, number: true, cell: ({ uptime_ms, state }) => (state === 'down' ? null : span(uptime_ms)) },
                { title: text.sessions, number: true, cell: ({ sessions }) => count(language, sessions) },
                { title: text.measures.goroutines, number: true, cell: ({ goroutines }) => count(language, goroutines) },
                { title: text.measures.heap, number: true, cell: ({ heap_bytes }) => bytes(language, heap_bytes) },
                { title: text.lease, cell: ({ lease_expires_at }) => <When at={lease_expires_at} /> },
                {
                  title: text.actions,
                  cell: (node) =>
                    node.state === 'draining' ? (
                      <Button
                        size="xs"
                        variant="light"
                        onClick={() =>
                          act(async () => {
                            await api.undrain(node.node);
                            answer.reload();
                          }, text.undrained(node.node))
                        }
                      >
                        {text.undrain}
                      </Button>
                    ) : (
                      <Button size="xs" variant="default" disabled={node.state === 'down'} onClick={() => drain(node)}>
                        {text.drain}
                      </Button>
                    ),
                },
              ]}
            />
          </>
        )}
      </Answered>
    </>
  );
}
