import { useLanguage } from './language';

/** A button that says, in the other language, that it switches to it. */
export function LanguageSwitch() {
  const { language, choose } = useLanguage();
  const other = language === 'en' ? 'zh-CN' : 'en';
  return (
    <button type="button" className="link" lang={other} onClick={() => choose(other)}>
      {other === 'en' ? 'English' : '简体中文'}
    </button>
  );
}
