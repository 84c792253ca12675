// Starts the console: theme first, then the store, then the page.
import { render } from 'preact';
import { App } from './app.tsx';
import { applyTheme } from './prefs.ts';
import { followAddressBar } from './route.ts';
import { createStore } from './store.ts';
import './styles/index.css';

applyTheme();
followAddressBar();
const store = createStore();
store.start();
render(<App store={store} />, document.getElementById('app')!);
