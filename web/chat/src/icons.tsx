import type { ReactNode } from 'react';

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

export const PlusIcon = () => <Icon><path d="M12 5v14M5 12h14" /></Icon>;
export const MenuIcon = () => <Icon><path d="M4 7h16M4 12h16M4 17h16" /></Icon>;
export const BackIcon = () => <Icon><path d="M15 5l-7 7 7 7" /></Icon>;
export const SendIcon = () => <Icon><path d="M4 12l16-8-6 16-3-7z" /></Icon>;
export const ClipIcon = () => <Icon><path d="M20 11l-8 8a5 5 0 0 1-7-7l8-8a3.300 3.300 0 0 1 5 5l-8 8a1.700 1.700 0 0 1-2.500-2.500l7-7" /></Icon>;
export const DotsIcon = () => <Icon><path d="M12 5v.01M12 12v.01M12 19v.01" strokeWidth="3" /></Icon>;
export const DownIcon = () => <Icon><path d="M12 5v13M6 12l6 6 6-6" /></Icon>;
export const CloseIcon = () => <Icon><path d="M6 6l12 12M18 6L6 18" /></Icon>;
export const PinIcon = () => <Icon><path d="M9 4h6l-1 6 3 3v2H7v-2l3-3zM12 15v6" /></Icon>;
export const MuteIcon = () => <Icon><path d="M4 10v4h4l5 4V6L8 10zM17 9l4 6M21 9l-4 6" /></Icon>;
export const PeopleIcon = () => <Icon><path d="M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20a6.500 6.500 0 0 1 13 0M16 4.500a3.500 3.500 0 0 1 0 6.500M18 14.500a6.500 6.500 0 0 1 3.500 5.500" /></Icon>;
export const ClockIcon = () => <Icon><path d="M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4l3 2" /></Icon>;
export const OneTickIcon = () => <Icon><path d="M6 12.500l4 4 8-9" /></Icon>;
export const TwoTicksIcon = () => <Icon><path d="M2 12.500l4 4 8-9M11 15.500l1.500 1.500 8-9.500" /></Icon>;
export const WarnIcon = () => <Icon><path d="M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v5M12 16v.01" /></Icon>;
export const Logo = () => (
  <svg className="logo" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" />
    <path d="M6 17l5 5 9-11M16 21l1.500 1.500L27 11" />
  </svg>
);
