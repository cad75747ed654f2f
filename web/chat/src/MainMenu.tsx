import { ActionIcon, Menu } from '@mantine/core';
import { useState } from 'react';
import { useClient } from './client';
import { MenuIcon } from './icons';
import { useLanguage } from './language';
import { notificationsWanted, wantNotifications } from './Notifier';
import { schemes, useScheme } from './scheme';

/** Language, look, notifications and the way out. */
export function MainMenu() {
  const client = useClient();
  const { language, text, choose } = useLanguage();
  const { scheme: chosen, choose: chooseScheme } = useScheme();
  const [notifies, setNotifies] = useState(notificationsWanted);
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <ActionIcon variant="subtle" size="lg" aria-label={text.menu}>
          <MenuIcon />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {schemes.map((scheme) => (
          <Menu.Item key={scheme} role="menuitemradio" aria-checked={chosen === scheme} onClick={() => chooseScheme(scheme)}>
            {chosen === scheme ? '✓ ' : ''}
            {text.theme[scheme]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item role="menuitemcheckbox" aria-checked={notifies} onClick={() => void wantNotifications(!notifies).then(setNotifies)}>
          {notifies ? '✓ ' : ''}
          {text.notifications}
        </Menu.Item>
        <Menu.Item lang={language === 'en' ? 'zh-CN' : 'en'} onClick={() => choose(language === 'en' ? 'zh-CN' : 'en')}>
          {language === 'en' ? '简体中文' : 'English'}
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item onClick={() => void client.logout()}>{text.signOut}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
