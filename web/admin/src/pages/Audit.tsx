import { api } from '../calls';
import { ChoiceFilter, TextFilter, TimeFilter } from '../Filters';
import { type Text, useText } from '../language';
import { Head, Moment, Tag, UserLink } from '../Parts';
import { Link, useSearch } from '../route';
import { Listing } from '../Table';
import type { AuditEntry } from '../types';

const filters = ['actor_id', 'action', 'target_kind', 'target_id', 'from', 'to'] as const;
const kinds = ['user', 'device', 'conversation', 'message', 'node', 'job'] as const;

/** Who did what with the admin API, when, and from where. */
export default function Audit() {
  const text = useText();
  const [search] = useSearch();
  const filter = Object.fromEntries(filters.map((name) => [name, search.get(name) ?? '']));
  return (
    <>
      <Head title={text.sections.audit} />
      <div className="filters">
        <TextFilter name="actor_id" label={text.actorId} />
        <TextFilter name="action" label={text.action} placeholder="user.ban" />
        <ChoiceFilter name="target_kind" label={text.targetKind} choices={[{ value: '', label: text.any }, ...kinds.map((kind) => ({ value: kind, label: text.targetKinds[kind] }))]} />
        <TextFilter name="target_id" label={text.targetId} />
        <TimeFilter name="from" label={text.from} />
        <TimeFilter name="to" label={text.to} />
      </div>
      <Listing<AuditEntry>
        name={JSON.stringify(filter)}
        caption={text.sections.audit}
        keyOf={({ id }) => id}
        load={async ({ cursor }, signal) => {
          const page = await api.audit({ ...filter, cursor }, signal);
          return { ...page, rows: page.entries };
        }}
        columns={[
          { title: text.time, cell: ({ at }) => <Moment at={at} /> },
          { title: text.actor, cell: ({ actor, actor_id }) => (actor_id && actor_id !== '0' ? <UserLink id={actor_id} name={actor} /> : actor || null) },
          { title: text.action, cell: ({ action }) => <code>{action}</code> },
          { title: text.target, cell: (entry) => <Target entry={entry} text={text} /> },
          { title: text.detail, cell: ({ detail }) => { const said = words(detail); return said ? <span className="clamp">{said}</span> : null; } },
          { title: text.address, cell: ({ address }) => <code>{address}</code> },
          { title: text.node, cell: ({ node }) => node },
          { title: text.outcome, cell: ({ outcome }) => <Tag mood={outcome === 'ok' ? 'good' : 'bad'}>{outcome === 'ok' ? text.ok : outcome}</Tag> },
        ]}
      />
    </>
  );
}

function Target({ entry: { target_kind, target_id }, text }: { readonly entry: AuditEntry; readonly text: Text }) {
  if (!target_kind) return null;
  const known: Readonly<Record<string, string>> = text.targetKinds;
  const name = `${known[target_kind] ?? target_kind} ${target_id}`;
  const section = { user: 'users', conversation: 'conversations', message: 'messages' }[target_kind];
  return section && /^[0-9]+$/.test(target_id) ? <Link to={`${section}/${target_id}`}>{name}</Link> : name;
}

/** The detail, a JSON object, as name: value pairs. */
function words(detail: unknown): string {
  let value = detail;
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value);
    } catch {
      return detail as string; // no JSON: shown as it is
    }
  }
  if (typeof value !== 'object' || value === null) return value === null || value === undefined || value === '' ? '' : String(value);
  const pairs = Object.entries(value).map(([name, of]) => `${name}: ${typeof of === 'string' ? of : JSON.stringify(of)}`);
  return pairs.join(', ');
}
