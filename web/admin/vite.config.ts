import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  base: '/admin/',
  plugins: [react()],
  build: {
    // Elsewhere when the committed page is compared with a fresh one.
    outDir: process.env['ACKBOX_ADMIN_DIST'] ?? 'dist',
    emptyOutDir: true,
    target: 'es2022',
    // Inlined data would need a weaker Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false, // tools/budget.mjs does
    chunkSizeWarningLimit: 1_000,
    license: { fileName: 'NOTICE.md' },
  },
});
