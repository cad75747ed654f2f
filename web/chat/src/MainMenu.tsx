import type { User } from '@ackbox/client';
import { useState } from 'react';
import { useClient } from './client';
import { MenuIcon } from './icons';
import { useLanguage } from './language';
import { MenuButton } from './MenuButton';
import { notificationsWanted, wantNotifications } from './Notifier';
import { Settings } from './panels';
import { schemes, useScheme } from './scheme';
import { useWritings } from './writings';

/** Settings, language, look, notifications and the way out. */
export function MainMenu({ me }: { me: User }) {
  const client = useClient();
  const { language, text, choose } = useLanguage();
  const { scheme: chosen, choose: chooseScheme } = useScheme();
  const [notifies, setNotifies] = useState(notificationsWanted);
  const writings = useWritings();
  const signOut = () => {
    writings.erase();
    void client.logout();
  };
  const [settings, setSettings] = useState(false);
  return (
    <>
      <MenuButton
        label={text.menu}
        icon={<MenuIcon />}
        lines={() => [
          { label: text.settings, onSelect: () => setSettings(true) },
          null,
          ...schemes.map((scheme) => ({ label: text.theme[scheme], radio: true, checked: chosen === scheme, onSelect: () => chooseScheme(scheme) })),
          null,
          { label: text.notifications, checked: notifies, onSelect: () => void wantNotifications(!notifies).then(setNotifies) },
          { label: language === 'en' ? '简体中文' : 'English', lang: language === 'en' ? 'zh-CN' : 'en', onSelect: () => choose(language === 'en' ? 'zh-CN' : 'en') },
          null,
          { label: text.signOut, onSelect: signOut },
        ]}
      />
      {settings ? <Settings me={me} onClose={() => setSettings(false)} /> : null}
    </>
  );
}
