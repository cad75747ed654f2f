import { ActionIcon, Menu } from '@mantine/core';
import { type ComponentType, lazy, Suspense, useEffect, useRef, useState } from 'react';
import { useActions } from './Actions';
import { api } from './calls';
import * as icons from './icons';
import { type Text, useLanguage } from './language';
import { Link, usePath } from './route';
import { schemes, useScheme } from './scheme';
import { session } from './session';
import { Boundary } from './Boundary';
import { Empty, Loading } from './States';
import type { User } from './types';

interface Section {
  readonly path: string;
  readonly title: keyof Text['sections'];
  readonly icon: ComponentType;
  readonly page: ComponentType;
  /** Shows one thing of the section. */
  readonly details?: ComponentType<{ readonly id: string }>;
}

const sections: readonly Section[] = [
  { path: '', title: 'overview', icon: icons.OverviewIcon, page: lazy(() => import('./pages/Overview')) },
  { path: 'nodes', title: 'nodes', icon: icons.NodesIcon, page: lazy(() => import('./pages/Nodes')) },
  { path: 'users', title: 'users', icon: icons.UsersIcon, page: lazy(() => import('./pages/Users')), details: lazy(() => import('./pages/User')) },
  { path: 'conversations', title: 'conversations', icon: icons.ConversationsIcon, page: lazy(() => import('./pages/Conversations')), details: lazy(() => import('./pages/Conversation')) },
  { path: 'messages', title: 'messages', icon: icons.TraceIcon, page: lazy(() => import('./pages/Messages')), details: lazy(() => import('./pages/Message')) },
  { path: 'stuck', title: 'stuck', icon: icons.StuckIcon, page: lazy(() => import('./pages/Stuck')) },
  { path: 'sessions', title: 'sessions', icon: icons.SocketsIcon, page: lazy(() => import('./pages/Sessions')) },
  { path: 'jobs', title: 'jobs', icon: icons.JobsIcon, page: lazy(() => import('./pages/Jobs')) },
  { path: 'announcements', title: 'announcements', icon: icons.AnnounceIcon, page: lazy(() => import('./pages/Announcements')) },
  { path: 'audit', title: 'audit', icon: icons.AuditIcon, page: lazy(() => import('./pages/Audit')) },
  { path: 'settings', title: 'settings', icon: icons.SettingsIcon, page: lazy(() => import('./pages/Settings')) },
];

/** The frame around every page: where one can go, and who is signed in. */
export function Shell({ me }: { readonly me: User }) {
  const { text } = useLanguage();
  const path = usePath();
  const [first = '', id = '', ...more] = path.split('/');
  const section = sections.find((candidate) => candidate.path === first && more.length === 0 && (!id || candidate.details));
  const [opened, setOpened] = useState(false);
  const main = useRef<HTMLElement>(null);
  const shown = useRef(path);
  const name = section ? text.sections[section.title] : text.noPage;
  useEffect(() => {
    document.title = `${name} · Ackbox`;
  }, [name]);
  // Who reads with the keyboard or a screen reader starts at the new page.
  useEffect(() => {
    setOpened(false);
    if (shown.current !== path) main.current?.focus();
    shown.current = path;
  }, [path]);
  return (
    <div className={opened ? 'shell shell-open' : 'shell'} onKeyDown={(event) => event.key === 'Escape' && setOpened(false)}>
      <a className="skip" href="#main">
        {text.skip}
      </a>
      <header className="top">
        <ActionIcon variant="subtle" size="lg" className="top-menu" aria-label={text.navigation} aria-expanded={opened} aria-controls="navigation" onClick={() => setOpened(!opened)}>
          <icons.MenuIcon />
        </ActionIcon>
        <Link to="" className="brand">
          <icons.Logo />
          <span>Ackbox</span>
        </Link>
        <span className="grow" />
        <AccountMenu me={me} />
      </header>
      <nav className="nav" id="navigation" aria-label={text.navigation}>
        <ul>
          {sections.map(({ path: to, title, icon: SectionIcon }) => (
            <li key={to}>
              <Link to={to} className="nav-line" onClick={() => setOpened(false)} aria-current={section?.path === to ? 'page' : undefined}>
                <SectionIcon />
                {text.sections[title]}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      {opened ? <div className="veil" onClick={() => setOpened(false)} /> : null}
      <main className="page" id="main" ref={main} tabIndex={-1}>
        <Boundary key={path}>
          <Suspense fallback={<Loading />}>
            {section ? id && section.details ? <section.details id={decodeURIComponent(id)} /> : <section.page /> : <Empty>{text.noPage}</Empty>}
          </Suspense>
        </Boundary>
      </main>
    </div>
  );
}

function AccountMenu({ me }: { readonly me: User }) {
  const { language, text, choose } = useLanguage();
  const { scheme: chosen, choose: chooseScheme } = useScheme();
  const { act } = useActions();
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <button type="button" className="account" aria-label={text.account(me.username)}>
          <span className="ellipsis">{me.username}</span>
          <span aria-hidden="true">▾</span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        {schemes.map((scheme) => (
          <Menu.Item key={scheme} role="menuitemradio" aria-checked={chosen === scheme} onClick={() => chooseScheme(scheme)}>
            {chosen === scheme ? '✓ ' : ''}
            {text.theme[scheme]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item lang={language === 'en' ? 'zh-CN' : 'en'} onClick={() => choose(language === 'en' ? 'zh-CN' : 'en')}>
          {language === 'en' ? '简体中文' : 'English'}
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item onClick={() => act(() => api.signOut().then(session.leave), text.signedOutYou)}>{text.signOut}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
