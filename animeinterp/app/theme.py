"""The look of the page: fonts of the reader's own system, one calm accent, light and dark as the system is."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

CSS = Path(__file__).with_name("page.css")
SCRIPTS = Path(__file__).with_name("before_after.js")


def head_markup() -> str:
    """Return what the head of the page holds besides: its own scripts."""
    return f"<script>{SCRIPTS.read_text(encoding='utf-8')}</script>"


def build_theme() -> gr.themes.Base:
    """Build the theme; nothing of it is fetched."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        secondary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=["system-ui", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif"],
        font_mono=["ui-monospace", "Consolas", "monospace"],
    )
    return theme.set(button_primary_background_fill="*primary_600", button_primary_background_fill_hover="*primary_700")
