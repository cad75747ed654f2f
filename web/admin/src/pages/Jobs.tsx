import { Button } from '@mantine/core';
import { useActions } from '../Actions';
import { useAnswer } from '../answer';
import { api } from '../calls';
import { count, span } from '../format';
import { useLanguage } from '../language';
import { Head, Tag, When } from '../Parts';
import { Answered, Empty, MissingNodes } from '../States';
import { Table } from '../Table';
import type { Job } from '../types';

/** What runs by the clock, how it last went, and running it now. */
export default function Jobs() {
  const { language, text } = useLanguage();
  const { act } = useActions();
  const answer = useAnswer('jobs', api.jobs, 5_000);
  return (
    <>
      <Head title={text.sections.jobs} />
      <Answered answer={answer}>
        {({ jobs, missing_nodes }) => (
          <>
            <MissingNodes nodes={missing_nodes} />
            {jobs.length === 0 ? (
              <Empty>{text.nothingFound}</Empty>
            ) : (
              <Table
                caption={text.sections.jobs}
                rows={[...jobs].sort((a, b) => a.name.localeCompare(b.name) || Number(a.node) - Number(b.node))}
                keyOf={({ name, node }) => `${name}/${node}`}
                columns={[
                  { title: text.job, cell: ({ name }) => <b>{name}</b> },
                  { title: text.node, cell: ({ node }) => node },
                  { title: text.every, number: true, cell: ({ every_ms }) => (every_ms > 0 ? span(every_ms) : null) },
                  { title: text.lastRun, cell: ({ last_run_at }) => <When at={last_run_at} /> },
                  { title: text.took, number: true, cell: ({ last_duration_ms, last_run_at }) => (last_run_at ? span(last_duration_ms ?? 0) : null) },
                  { title: text.outcome, cell: (job) => <Outcome job={job} /> },
                  { title: text.runs, number: true, cell: ({ runs }) => count(language, runs) },
                  { title: text.failures, number: true, cell: ({ failures }) => (failures > 0 ? <b>{count(language, failures)}</b> : '0') },
                  {
                    title: text.actions,
                    cell: ({ name, node, running }) => (
                      <Button
                        size="xs"
                        variant="default"
                        disabled={running}
                        aria-label={text.runNowOf(name, node)}
                        onClick={() =>
                          act(async () => {
                            await api.runJob(name, node);
                            answer.reload();
                          }, text.started(name, node))
                        }
                      >
                        {text.runNow}
                      </Button>
                    ),
                  },
                ]}
              />
            )}
          </>
        )}
      </Answered>
    </>
  );
}

function Outcome({ job }: { readonly job: Job }) {
  const { text } = useLanguage();
  if (job.running) return <Tag mood="plain">{text.running}</Tag>;
  if (!job.last_run_at) return <span className="dim">–</span>;
  if (job.last_error) {
    return (
      <>
        <Tag mood="bad">{text.failed}</Tag> <span className="dim">{job.last_error}</span>
      </>
    );
  }
  return <Tag mood="good">{text.ok}</Tag>;
}
