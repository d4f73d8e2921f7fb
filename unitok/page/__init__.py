"""The page in the browser: one file a tab. The only room that imports gradio."""
