import { ActionIcon, Menu } from '@mantine/core';
import type { ReactNode } from 'react';
import { ago, moment } from './format';
import { DotsIcon } from './icons';
import { useLanguage, useText } from './language';
import { Link } from './route';

/** A page's heading, with what can be done to all of it. */
export function Head({ title, back, children }: { readonly title: ReactNode; readonly back?: { readonly to: string; readonly title: string }; readonly children?: ReactNode }) {
  return (
    <div className="page-head">
      <div className="grow">
        {back ? (
          <Link to={back.to} className="back">
            ← {back.title}
          </Link>
        ) : null}
        <h1>{title}</h1>
      </div>
      {children ? <div className="row wrap">{children}</div> : null}
    </div>
  );
}

/** A part of a page, with a heading of its own. */
export function Card({ title, children, className = '' }: { readonly title?: string; readonly children: ReactNode; readonly className?: string }) {
  return (
    <section className={`card ${className}`} aria-label={title}>
      {title ? <h2>{title}</h2> : null}
      {children}
    </section>
  );
}

/** How long ago, and exactly when on hover; a dash for never. */
export function When({ at }: { readonly at: number | string | null | undefined }) {
  const { language } = useLanguage();
  if (at === null || at === undefined || at === 0 || at === '') return <span className="dim">–</span>;
  const date = new Date(at);
  return (
    <time dateTime={date.toISOString()} title={moment(language, at)}>
      {ago(language, date.getTime())}
    </time>
  );
}

/** When exactly, for what is read as a record. */
export function Moment({ at }: { readonly at: number | string | null | undefined }) {
  const { language } = useLanguage();
  if (at === null || at === undefined || at === 0 || at === '') return <span className="dim">–</span>;
  return <time dateTime={new Date(at).toISOString()}>{moment(language, at)}</time>;
}

export type Mood = 'good' | 'warn' | 'bad' | 'plain';

/** A state in a word. */
export function Tag({ mood, children }: { readonly mood: Mood; readonly children: ReactNode }) {
  return <span className={`tag tag-${mood}`}>{children}</span>;
}

/** Names and values. */
export function Facts({ facts }: { readonly facts: readonly (readonly [name: string, value: ReactNode])[] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function UserLink({ id, name }: { readonly id: string; readonly name: string }) {
  return <Link to={`users/${id}`}>{name || id}</Link>;
}

export interface RowAction {
  readonly label: string;
  readonly danger?: boolean;
  readonly run: () => void;
}

/** What can be done to a row. */
export function RowMenu({ of, actions }: { readonly of: string; readonly actions: readonly RowAction[] }) {
  const text = useText();
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <ActionIcon variant="subtle" aria-label={text.actionsFor(of)}>
          <DotsIcon />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {actions.map((action) => (
          <Menu.Item key={action.label} className={action.danger ? 'danger' : undefined} onClick={action.run}>
            {action.label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

/** A number that matters, with what it is made of. */
export function Stat({ name, value, more }: { readonly name: string; readonly value: string; readonly more: string }) {
  return (
    <div className="stat">
      <dt>{name}</dt>
      <dd>
        <b>{value}</b>
        <span>{more}</span>
      </dd>
    </div>
  );
}
